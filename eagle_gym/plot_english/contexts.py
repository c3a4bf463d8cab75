"""Where a word of an overview means what the lexicon says that it means: tables for `overviews`.

An overview's words are ambiguous. A *train* may be a verb, a *star* a pupil, a *circus* a commotion of the press. These
tables say which expressions mean nothing, which words must be nouns, and what must stand near a word, or must not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

# Fixed expressions whose words mean nothing by themselves.
_EXPRESSIONS = """
academy award, academy awards, acting school, after a fashion, air force, all-star, altar boy, amazon prime, american
dream, angel investor dead end, animal instinct life of crime, animal kingdom, animal magnetism, arms race, art
director, art form, art house, art school, astral plane, at this stage, baby boom, baby boomer, baby boomers, baby
brother, baby face, baby grand, baby sister old school, baby sitter, baby steps, baby-sitter, back from the dead, bad
boy, bad faith, balance of power book of, bar code, bar fight office of, bar mitzvah, bar none, basketball court, bat
mitzvah, battle of the sexes, battle of wills, battle of wits, battle with cancer, bear a, bear fruit, bear in mind,
bear market, bear witness, bears a, beauty queen, behind bars, biblical proportions, bidding war, big fish, biology
class, bird's-eye, black forest, book a, book club, book tour, books a, boot camp, bored to death, box office,
box-office, boxer shorts, boy band, boy bands, boy next door, boy scout, boy wonder, boys in blue father figure,
breathing space, bride price, bring to justice, brush with death, brutal honesty, bug out, burger king, business as
usual, business card, business class, business district soldier of fortune, business suit, business trip, by nature,
by the book, candy bar, card shark, cat and mouse, cat burglar, cat-and-mouse, cats and dogs, cd player, center stage,
chain letter prince charming, champion of, character assassination train of thought, cheating at cards, chess match,
chief justice, child care, child custody, child labor, child soldier, child support, child's play, child's-play, city
girl, civil liberty funeral home, class clown, class president, class reunion, class trip, clinical trial, clinical
trials, coach class, cold fish, comic book, comic books, communist party, coney island, contract killing, cook the
books, cooking class, court battle, court jester, court of public opinion bar exam, cover girl, criminal justice,
cruel twist of fate, cry wolf, crying wolf, cult favorite, cult favourite, cult film, cult following, cult hit, cult
movie, cult status, cult tv cheating death, culture war, current affairs, custody battle, dairy queen, dance around,
dance class, dance school, dance with danger, dances around, dark horse, dead battery, dead center, dead heat, dead
horse, dead language, dead of night, dead of winter, dead ringer, dead set, dead tired, dead weight, dead wrong,
dead-end, death metal shooting star, death row, defense minister, delivery boy, democratic party, den mother, desert
boots forest ranger, desert rat, desert rose, desert storm, devil may care, devil's advocate, devil-may-care, do
justice, doctor of, doctor the, doctor who, doctor's orders, doctors the, dog days, dog eat dog, dog tags,
dog-eat-dog, down memory lane, down the road, drama queen, dream big, dream come true, dream date, dream girl, dream
home, dream house, dream life double agent, dream team, dream vacation, dreams come true, driving school, drop dead,
drop-dead, drug companies, drug company, drug king, drug of choice, dying breed, dying to, early bird, early stage,
elected office, epidemic of tender age, eye of the storm, face the music, fair sex, faith in, family affair, fast
food, father christmas, father time, fight or flight, film business cult classic, film school, final frontier, final
stage, first class, first-class, fish out of water, fish-out-of-water, five-star, flight attendant, flight from
justice, flight of fancy, flights of fancy, flood of, floods of human nature, flower girl, flying school, food chain,
food court, food fight, food for thought, food poisoning, for the love of, force of nature, foreign affairs, foreign
minister, founding father, founding fathers, four-star, free space, free trial, freedom fighter, freedom of the press,
frog prince, funny bone, funny business, funny money, game of cat, gang warfare love affair with, get away with
murder, gets away with murder, ghost of a chance, ghost writer, ghosts of the past, girl band, girl friday, girl
group, girl next door, girl power, girl scout, global village, gold bar, gold digger, gold medal, gold standard, gold
star, gold-digger, golden boy, good as gold, good faith, good nature, gravy train, guest of honor, guinea pig ghost
town, heart of gold, high horse, high office, hired gun, history class golden age, hit the road, holds office, holy
father, homecoming queen, honor roll, honor student, horse around, hot dog, hot dogs, human race, hunting party,
identity theft silver screen, identity thief, in a fashion, in flight, in honor of, in honour of, in loving memory
epic proportions, in memory of, in training, inner child, internal affairs, jump ship, jump the gun, jumped the gun,
jury duty, justice department, justice system, key player, killer app, killer instinct, killer recipe, killer smile,
killer whale, killer whales, king crab, king of comedy, king of pop, king of the hill, king of the road, king size,
king-size, kingdom come, kung fu king dream job, labor of love, labour of love, lady killer, lap dance, law school,
legal battle, legal tender, letter of the law, letter opener, liberty bell, life and death, life of domestic, life of
ease, life of its own, life of leisure, life of luxury, life of poverty, life of solitude, life of the mind, life of
the party, life of violence, life or death, life-and-death, life-or-death, like a dog, lives of leap of faith, living
space, loan shark, loan sharks, lone wolf, long island, love affairs with, love doctor, love of food, love to hate,
loves to hate, loyal customers fate of, loyal fans, lucky star, made-for-television, magic number, magic touch, maid
of honor, major player, marine biologist, marine biology, marine life, marine park, mars bar, martial arts class,
master race soap opera, matron of honor, means business, medal of honor, media circus, media frenzy, medical school,
memory lane, middle of the road, middle school by storm, mind your own business, minister of, miracle drug, miss the
boat stage fright, monkey around, monkey business, moon over, moral compass, moral dilemma of, moral support, mother
country, mother earth, mother in law, mother lode, mother nature, mother of all, mother ship, mother superior, mother
tongue, mountain bike, mountain lion, mountain of, mountains of, music to her ears, music to his ears, music video,
nature documentary, nature of, nazi party, new frontier, new in town, next stage, none of his business, nurse a, nurse
her, nurse his, nurses a, nursing home, obstruction of justice love letter, of her dreams, of his dreams, of my
dreams, of their dreams, office building party of, office romance, office space, old boy, old-fashioned, old-school,
on the radar, once in a blue moon, one for the books sex symbol, one-trick pony, open bar, open road prime minister,
open secret, opera house, opposite sex, out of court, out of the bag, out of town, outer-space, oval office, over the
moon, pain killer, paper tiger, parking space, party animal, party girl, party politics, party to, perfect storm,
personal space, pilot episode, pilot light, pilot program, pipe dream, plague of, plagued by, plagues the, plane of,
plane ticket, players club, poetic justice, police state, political office, political party, post office, poster boy,
poster child, power couple, power failure, power lines, power of attorney, power outage, power source, power station,
power tool, power tools, power trip, powers that be, price war, private affairs rat race, prom king, prom queen,
public affairs, public office, put to flight, queen bee, race against, race against the clock, race relations, radio
silence, raiding party, raise the bar, raises the bar, record player, refugee camp police academy, republican party,
rhode island, rising star, risky business, road manager, road rage, rock the boat, royal court, run for office,
running for office, same boat, same sex, same-sex, savage humor, scared to death, school of fish, school of hard
knocks, school of thought, schools of fish, search party, second nature, secret admirer, secret agent, secret agents,
secret army, secret base, secret crush, secret ingredient, secret lab, secret laboratory, secret of success, secret
passage unfinished business, secret police, secret recipe for, secret santa, secret service, secret weapon, set the
stage, sets the stage, sex comedy, sex education art of, sex scandal, shape up or ship out, she-devil, sheet music,
ship in a bottle, shooting for the stars, shooting location, shooting of the film, shooting script, shooting stars,
sick to death, sinking ship, snake eyes, snake oil, soap operas, social butterfly, soldiers of fortune, song and
dance, soul train, space bar, space between, space heater, space opera, speak of the devil, spell doom, spell trouble,
spells disaster, spells doom, spells trouble, spin doctor, stage coach, stage name, star as, star in, star pupil, star
student, star system political animal, star wars, star witness, star-crossed, state of affairs, state of the art,
staten island, storm off, storm out, storms out, student body, student council, student film, student loans, super
powers, surrogate mother summer camp, take flight, takes center stage, takes flight, takes office, talk of the town,
team player, television adaptation class act, television drama, television film, television movie, television series,
television set, tempt fate, tennis court, term in office, third party, three-ring circus, tight ship, time and space,
time thief, to the letter, took flight, top dog, top gun, top secret, top-secret, town car, town council, town crier,
town hall, town square, trade secret, train tracks, train wreck, training camp, treasure trove of, trial by fire,
trial run, trials and tribulations, trojan horse, true nature, truth serum, tug of war, turf war, tv movie, tv series,
tv show, tv version, twist of fate, united kingdom, victoria's secret, village idiot island records, village people,
violent nature power plant, wanted dead or alive, war of words, war on drugs, war on terror, war party, war room,
wedding band, wedding cake, wedding present, wedding ring, wedding rings, wickedly funny, wild goose, wildest dreams,
will power, witch doctor, witch hunt, witch-hunt, witness to, wolf in sheep's, wonder drug, word of honor, works of
art star of, world class, world music, world powers, world stage trial and error, world-class, worth its weight in
gold
"""

# Words that name no particular one: their verb, adjective or compound is left to the rules below.
_NOUNS = """
train trains ship ships boat stage trial court farm ranch captain pilot pilots doctor doctors nurse coach tutor author slave
driver bully con scam duel drug drugs race hunt dance book books car star bar power powers play cure vision model photograph
letter party camp storm flood plague fish desert island beach forest plane flight dog dogs bear bears bird birds witness curse
jury guard bomb mob gang cult battle war fight experiment robot novel school class thief spy spies boxer boxers cat cats horse
horses monkey ape ant bees shark wolf snake treasure gold affair dream dreams love judge king queen prince priest minister
shooting murder chase music office company business marine soldier soldiers student champion player fighter witch witches
ghost ghosts monster creature drag wedding trial bride groom church surf rock mystery space hotel resort prom realm castle
"""

# `words | tests, one of which must hold | tests, none of which may hold`. A word may have a slot before it. Tests: `<word`
# is the word before, `>word` the word after, `~word` a word of the sentence; `>^` is a capitalised word after.
_CONTEXTS = """
goal.solve | ~investigate ~investigates ~investigating ~solve ~solving ~solves ~detective ~identify ~inspector
    ~suspect ~suspects ~clues ~sleuth ~investigation ~unsolved ~case ~murder ~killing |
goal.murder goal.murders goal.murdered | ~investigate ~investigates ~investigating ~solve ~solving ~solves ~detective
    ~identify ~inspector ~suspect ~suspects ~clues ~sleuth ~investigation ~unsolved ~case |
goal.missing goal.disappearance goal.disappears goal.disappeared goal.kidnapped | ~child ~children ~boy ~girl ~son
    ~daughter ~baby ~kid ~kids ~brother ~sister ~toddler |
steal | ~bank ~money ~jewel ~jewels ~diamond ~diamonds ~gold ~million ~millions ~cash ~vault ~casino ~painting |
goal.bomb goal.bombs goal.explosives | ~stop ~defuse ~detonate ~explode ~planted ~plant ~terrorist ~terrorists ~bomber
    ~threat |
escape escapes | ~prison ~captivity ~captors ~captor ~jail ~camp ~kidnappers ~captured ~captive ~imprisoned ~cell
    ~convict ~convicts ~fugitive ~dungeon ~asylum ~cellar ~kidnapped ~prisoner ~prisoners ~slavery |
protect | ~witness ~witnesses |
goal.witness | ~protect ~protects ~protecting ~guard ~testify ~mob ~killer ~murder ~killing |
raise raising adopt adopted custody | ~child ~children ~son ~daughter ~kids ~baby ~boy ~girl ~orphan ~orphans ~niece
    ~nephew |
uncover uncovers | ~conspiracy ~plot ~cover-up ~government ~scandal ~corruption ~secret ~secrets ~truth |
expose exposes | ~crime ~crimes ~corruption ~scandal ~conspiracy ~fraud ~killer ~truth ~government |
rescue | ~hostage ~hostages ~kidnapped ~kidnappers ~captured ~captive ~abducted ~imprisoned ~trapped ~captors |
perform performance performances | ~show ~stage ~audience ~play ~concert ~musical ~band ~theatre ~theater | <sexual
travel travels | >to >across >through >into >around >from | ~time
battle | ~army ~war ~enemy ~soldiers ~troops ~forces ~kingdom ~invaders ~rebels ~armies ~warriors ~invasion ~aliens
    ~general |
hunt hunts hunting | ~monster ~creature ~beast ~demon ~demons ~vampire ~vampires ~dragon ~wolf ~shark ~bear ~werewolf
    |
goal.track | ~monster |
campaign | ~election ~candidate ~governor ~senator ~mayor ~president ~presidential ~office ~politician |
gold | ~find ~search ~treasure ~hunt ~map ~prospector ~prospectors ~buried ~bars ~stolen ~miners |
corrupt | >official >officials >cop >cops >police >politician >politicians >sheriff >judge >government >mayor >senator
    |
goal.secret goal.secrets | ~hide ~hides ~hiding ~keep ~keeps ~keeping |
greedy | ~company ~corporation ~developer ~developers ~tycoon ~corporate ~businessman ~businessmen |
jealous | >husband >boyfriend >lover >ex-husband |
strict disapproving overbearing | >father >parents >dad >mother |
the_police | ~hunted ~chased ~fugitive ~wanted ~run ~escape ~evade ~arrest ~pursued ~chase ~flee ~hiding |
gang |  | <the >of
mob |  | <angry <lynch
cult |  | >classic >film >hit >favorite >favourite
existence | <human ~meaning | <very
class | <working <upper <middle <lower <social <ruling >struggle >conflict >divide >differences |
nature |  | <human <whose <true <very >of
baby |  | >, <oh
killer |  | <contract >whale
love |  | <to <would >to >that
engaged | >to |
science |  | <rocket
theater theatre |  | >of <movie
southern | >town >belle >plantation >small >family >village >gothic >mansion >swamp | >california >france >italy
    >spain >england
georgia | <in <to <rural <of <through |
professor |  | <literature <english <history <law <music <college
player |  | <chess <poker <piano <card <record <trumpet
coach |  | <life <stage <dialogue
magic magical |  | <movie
art |  | >of
moral |  | >of
power |  | <star <flower <girl <nuclear <solar <electric <firing
powers |  | <great <super- <foreign <european <western <allied <world
company |  | <keep <good <enjoy <her <his <of <in >of <keeping <theater <theatre <dance <ballet <opera
space | <in <outer <through <deep <of <from <into >travel >station >mission >crew >pirate >ship >shuttle >explorer |
    ~parking
trial | <the <a <on <his <her <murder <their <criminal >of | <clinical
setting.trial | <on <the <a <murder >of <his <her <their | <clinical
office | <the <an <his <her <law <corporate <at <in | >of
school | <the <a <at <to <in <from <her <his <their <new <private <catholic <local <public <girls <boys <strict <after
    <of <my <all-girls <all-boys <old >year >days >teacher >friends >reunion >bully >principal >play >bus | >of >for
drug |  | >store >company
couple |  | >of
missing |  | >out >from
life_of | >^ |
music |  | <the_face
play | <a <the <his <her <new <school <stage <this <about |
blind |  | >date >spot >eye >alley >faith >to
poor |  | >weather >excuse >health >judgment >quality >taste
rich |  | >in
brilliant |  | >idea >plan
honest |  | <to
band | <a <the <rock <metal <punk <jazz <garage <local <his <her <their <school >plays >on >called >as >that | >of
    >together
boy | <a <the <young <little <small <teenage <orphan <poor <this <another <local <that | >meets
girl | <a <the <young <little <small <teenage <orphan <poor <this <year-old <another <local <teen | >of <call <dream
documentary |  | >filmmaker >filmmakers >crew >maker >director
novel |  | >way >idea >approach
witness |  | >to
fashion | <of <in <high >designer >world >industry >magazine >show >model |
shooting | <a <the <mass <fatal <police | >star >a >stars >script
detective |  | >work
star | <movie |
"""

_PLACES = """
new york, manhattan, brooklyn, bronx, harlem, los angeles, hollywood, beverly hills, las vegas, chicago, san francisco,
texas, mississippi, alabama, louisiana, new orleans, georgia, london, england, britain, ireland, dublin, scotland, paris,
france, italy, rome, venice, sicily, germany, berlin, russia, moscow, spain, madrid, japan, tokyo, china, beijing, shanghai,
hong kong, india, vietnam, africa, kenya, south africa, australia, south america, brazil, argentina, colombia, rio, mexico,
europe, iraq, iran, israel, egypt, afghanistan, middle east, amazon, sahara, everest, alps, alaska, arctic, antarctica,
antarctic, wall street, broadway, washington, white house, mars
"""

_NATIONALITIES = """
english british irish scottish parisian french italian german russian soviet spanish japanese chinese indian vietnamese
african australian mexican european southern
"""

_PROPER = """
fbi, fbi agent, fbi agents, cia, cia agent, cia agents, cia operative, dea agent, mi6, kgb, nazi, nazis, hitler, gestapo,
world war ii, wwii, second world war, vietnam war, cold war, civil war, holocaust, jews, jewish, catholic, bible, christmas,
santa, santa claus, halloween, satan, dracula, godzilla, terminator, shakespeare, mafia, lsd, dna, tv, olympic, olympics,
native american, indians, american dream, pow, ancient rome, ancient greece, ancient egypt, roman empire, middle ages,
wild west, old west, deep south, broadway, rock and roll, prisoner of war, death row, martians
"""

_TITLES = """
detective inspector captain sheriff deputy agent king queen prince princess president senator governor mayor doctor
professor father sister coach emperor dictator sergeant officer judge attorney pastor reporter journalist writer author
actor actress singer photographer director filmmaker lawyer pilot
"""

_PLACE_NOUNS = """
town village city countryside coast capital island islands riviera estate manor mansion boarding school prison university
province resort seaside coastal suburb port harbor harbour castle palace monastery convent outback desert jungle mountains
alps border farm farmhouse hamlet court society underworld empire frontier wilderness moors slum streets restaurant hotel
"""

_PEOPLE = """
man woman men women guy lad fellow person people boy boys girl girls youth lady gentleman kid kids bachelor spinster
bachelors outsider loner hero heroine clerk cook chef baker butcher shepherd mechanic engineer librarian banker accountant
gardener pastry farmer miner plumber carpenter postman shopkeeper landlord neighbour neighbor worker officer agent captain
king queen prince princess girl aristocrat heir heiress aunt uncle grandmother grandfather brother sister son daughter parents
family youngster american englishman frenchman clown professor criminal gambler performer comedian composer designer editor
executive
"""


@dataclass(frozen=True, slots=True)
class Context:
    """What must hold near a word.

    Attributes:
        needs: Tests, one of which holds; none where any place will do.
        bars: Tests, none of which holds.
    """

    needs: tuple[str, ...]
    bars: tuple[str, ...]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in " ".join(text.split()).split(","))


NOUNS = _words(_NOUNS)
PLACES = _names(_PLACES)
NATIONALITIES = _words(_NATIONALITIES)
PROPER = _names(_PROPER) | PLACES | NATIONALITIES
TITLES = _words(_TITLES)
PLACE_NOUNS = _words(_PLACE_NOUNS)
PEOPLE = _words(_PEOPLE)
EXPRESSIONS = _names(_EXPRESSIONS)


@cache
def contexts() -> Mapping[str, tuple[Context, ...]]:
    """What must hold near each word, by `word` or `slot.word`."""
    table: dict[str, tuple[Context, ...]] = {}
    for line in _CONTEXTS.strip().replace("\n ", " ").splitlines():
        words, needs, bars = (part.split() for part in (line + " |").split("|")[:3])
        for word in words:
            key = word.replace("_", " ")
            table[key] = (*table.get(key, ()), Context(tuple(needs), tuple(bars)))
    return table
