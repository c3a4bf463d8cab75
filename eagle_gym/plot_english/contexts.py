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
acting school, after a fashion, altar boy, amazon prime, american dream, animal kingdom, art director, art form, art
house, art of, art school, astral plane, baby boom, baby boomer, baby boomers, baby brother, baby face, baby grand,
baby sister, baby sitter, baby steps, back from the dead, bad boy, bad faith, balance of power, bar code, bar exam,
bar fight, bar mitzvah, bar none, basketball court, battle of the sexes, battle of wills, battle of wits, battle
with cancer, bear a grudge, bear fruit, bear in mind, bear market, bear witness, bears a grudge, beauty queen,
biblical proportions, bidding war, big fish, biology class, black forest, book club, book of, book tour, bored to
death, box office, boxer shorts, boy band, boy bands, boy next door, boy scout, boy wonder, breathing space, bride
price, bring to justice, brush with death, brutal honesty, burger king, business as usual, business card, business
class, business district, business suit, business trip, by nature, by storm, by the book, candy bar, card shark, cat
and mouse, cat burglar, cats and dogs, cd player, champion of, character assassination, cheating at cards, cheating
death, chess match, chief justice, child care, child custody, child labor, child soldier, child support, child's
play, city girl, class act, class clown, class president, class reunion, class trip, clinical trial, coach class,
cold fish, comic book, comic books, communist party, coney island, cook the books, cooking class, court battle,
cover girl, criminal justice, cruel twist of fate, cry wolf, crying wolf, cult favorite, cult favourite, cult film,
cult following, cult hit, cult movie, cult status, cult tv, culture war, custody battle, dairy queen, dance around,
dance class, dance school, dance with danger, dark horse, dead battery, dead center, dead end, dead heat, dead
horse, dead language, dead of night, dead of winter, dead ringer, dead set, dead tired, dead weight, dead wrong,
death metal, defense minister, delivery boy, democratic party, den mother, desert rat, desert rose, desert storm,
devil may care, do justice, doctor of, doctor who, dog days, dog eat dog, dog tags, down memory lane, drama queen,
dream big, dream come true, dream date, dream girl, dream home, dream house, dream job, dream life, dream team,
dream vacation, dreams come true, driving school, drop dead, drug companies, drug company, drug king, drug of
choice, dying breed, dying to, early bird, elected office, epic proportions, eye of the storm, face the music, fair
sex, family affair, fast food, fate of, father christmas, father figure, father time, film business, film school,
final frontier, first class, fish out of water, flight from justice, flood of, flower girl, flying school, food
chain, food court, food fight, food for thought, food poisoning, for the love of, force of nature, foreign minister,
forest ranger, founding father, free trial, freedom fighter, freedom of the press, frog prince, funeral home, funny
bone, funny business, funny money, game of cat, get away with murder, gets away with murder, ghost of a chance,
ghost town, ghost writer, ghosts of the past, girl band, girl friday, girl group, girl next door, girl power, girl
scout, global village, gold bar, gold digger, gold medal, gold standard, gold star, golden boy, good as gold, good
faith, good nature, gravy train, guest of honor, heart of gold, high horse, high office, hired gun, history class,
holds office, holy father, homecoming queen, honor roll, honor student, horse around, hot dog, hot dogs, human
nature, hunting party, identity thief, in a fashion, in honor of, in honour of, in loving memory, in memory of, in
office, inner child, island records, jump ship, jump the gun, jumped the gun, justice department, justice system,
key player, killer app, killer instinct, killer smile, killer whale, killer whales, king crab, king of comedy, king
of pop, king of the hill, king of the road, king size, kingdom come, labor of love, labour of love, lady killer, lap
dance, law school, leap of faith, legal battle, legal tender, letter of the law, letter opener, liberty bell, life
and death, life of crime, life of domestic bliss, life of ease, life of its own, life of leisure, life of luxury,
life of poverty, life of solitude, life of the mind, life of the party, life of violence, life or death, like a dog,
living space, loan shark, lone wolf, long island, love affair with, love affairs with, love doctor, love of food,
loyal customers, loyal fans, magic number, magic touch, maid of honor, major player, marine biologist, marine
biology, marine life, marine park, mars bar, matron of honor, means business, medal of honor, media circus, medical
school, memory lane, middle school, mind your own business, minister of, miracle drug, miss the boat, monkey around,
monkey business, moral compass, moral support, mother country, mother earth, mother in law, mother lode, mother
nature, mother of all, mother ship, mother superior, mother tongue, mountain bike, mountain lion, mountain of,
mountains of, music to her ears, music to his ears, music video, nature documentary, nature of, nazi party, new
frontier, new in town, none of his business, obstruction of justice, of her dreams, of his dreams, of my dreams, of
their dreams, office building, office of, office romance, office space, old boy, old school, one for the books, open
bar, open secret, opera house, opposite sex, out of town, oval office, over the moon, pain killer, parking space,
party animal, party girl, party of, party politics, party to, perfect storm, personal space, pilot episode, pilot
light, pilot program, pipe dream, plague of, plane of, plane ticket, poetic justice, police state, political animal,
political party, post office, poster boy, poster child, power couple, power failure, power lines, power of attorney,
power outage, power plant, power source, power station, power tool, power tools, power trip, powers that be, price
war, prime minister, prince charming, prom king, prom queen, public office, queen bee, radio silence, raiding party,
raise the bar, raises the bar, record player, republican party, rhode island, risky business, rock the boat, royal
court, run for office, running for office, same boat, same sex, savage humor, scared to death, school of fish,
school of hard knocks, school of thought, schools of fish, search party, second nature, secret admirer, secret
agents, secret army, secret base, secret crush, secret ingredient, secret lab, secret laboratory, secret of success,
secret police, secret recipe for, secret santa, secret service, secret weapon, sex comedy, sex education, sex
scandal, sex symbol, shape up or ship out, sheet music, ship in a bottle, shooting for the stars, shooting location,
shooting of the film, shooting script, shooting star, shooting stars, sick to death, sinking ship, snake eyes, snake
oil, soap opera, song and dance, soul train, space bar, space heater, space opera, speak of the devil, spin doctor,
stage coach, state of the art, staten island, storm off, storm out, student body, student council, student film,
student loans, super powers, surrogate mother, takes office, talk of the town, team player, television adaptation,
television drama, television movie, television series, television set, tempt fate, tender age, term in office, third
party, three-ring circus, tight ship, time and space, to the letter, top dog, top gun, top secret, town car, town
council, town hall, town square, trade secret, train of thought, train tracks, train wreck, treasure trove of, trial
and error, trial by fire, trial run, trojan horse, true nature, truth serum, tug of war, turf war, tv movie, tv
series, tv show, tv version, twist of fate, unfinished business, united kingdom, victoria's secret, village idiot,
village people, wanted dead or alive, war of words, war on drugs, war on terror, war party, war room, wedding band,
wedding cake, wedding present, wedding ring, wedding rings, wickedly funny, wildest dreams, will power, witch
doctor, witch hunt, witness to, wolf in sheep's, wonder drug, word of honor, works of art, world class, world music,
world powers, worth its weight in gold
"""

# Keywords that count only as nouns, though they are verbs, too.
_NOUNS = """
killer murderer rebel rebels train trains ship boat trial farm ranch pilot pilots doctor nurse coach tutor author
slave driver bully scam duel drug drugs hunt dance book books bar power powers play cure vision photograph letter
party storm flood plague fish desert island beach forest plane dog dogs bear bears bird birds witness curse jury
bomb mob gang cult battle war experiment robot novel school class thief spy spies boxer cat cats horse horses monkey
ape ant bees shark wolf snake treasure gold affair dream dreams love king queen prince priest minister shooting
murder chase music office company business marine soldier soldiers student champion player witch witches ghost
ghosts monster creature wedding bride groom church surf mystery space hotel resort prom realm castle
"""

# `words | tests, one of which must hold | tests, none of which may hold`. A slot may stand before a word. A test
# names the word before (`<word`), the word after (`>word`, or `>^` for any in capitals), or another word of the
# sentence (`~word`). An underscore stands for a space.
_CONTEXTS = """
goal.solve | ~investigate ~investigates ~investigating ~solve ~solving ~solves ~detective ~identify ~inspector
    ~suspect ~suspects ~clues ~sleuth ~investigation ~unsolved ~case ~murder ~killing |
goal.murder goal.murders goal.murdered | ~investigate ~investigates ~investigating ~solve ~solving ~solves ~detective
    ~identify ~inspector ~suspect ~suspects ~clues ~sleuth ~investigation ~unsolved ~case |
goal.missing goal.disappearance goal.disappears goal.disappeared goal.kidnapped | ~child ~children ~boy ~girl ~son
    ~daughter ~baby ~kid ~kids ~brother ~sister ~toddler |
steal | ~bank ~jewel ~jewels ~diamond ~diamonds ~million ~cash ~vault ~casino ~painting |
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
perform performance | ~show ~stage ~audience ~play ~concert ~musical ~band ~theatre ~theater | <sexual
travel travels | >to >across >through >into >around >from | ~time
battle | ~army ~war ~enemy ~soldiers ~troops ~forces ~kingdom ~invaders ~rebels ~armies ~warriors ~invasion ~aliens
    ~general |
hunt hunts hunting | ~monster ~creature ~beast ~demon ~demons ~vampire ~vampires ~dragon ~wolf ~shark ~bear ~werewolf
    |
campaign | ~election ~candidate ~governor ~senator ~mayor ~president ~presidential ~office ~politician |
gold | ~find ~search ~treasure ~hunt ~map ~prospector ~prospectors ~buried ~bars ~stolen ~miners |
corrupt | >official >officials >cop >cops >police >politician >politicians >sheriff >judge >government >mayor >senator
    |
greedy | ~company ~corporation ~developer ~developers ~tycoon ~corporate ~businessman ~businessmen |
jealous | >husband >boyfriend >lover >ex-husband |
strict disapproving overbearing | >father >parents >dad >mother |
the_police | ~hunted ~chased ~fugitive ~wanted ~run ~escape ~evade ~arrest ~pursued ~chase ~flee ~hiding |
gang | | <the
mob | | <angry <lynch
cult | | >classic >film >hit >favorite >favourite
existence | <human ~meaning | <very
class | <working <upper <middle <lower <social <ruling >struggle >conflict >divide >differences |
nature | | <human <whose <true <very >of
baby | | >, <oh
killer | | <contract >whale
love | | <to <would >to >that
science | | <rocket
theater theatre | | >of <movie
southern | >town >belle >plantation >small >family >village >gothic >mansion >swamp | >california >france >italy
    >spain >england
georgia | <in <to <rural <of <through |
professor | | <literature <english <history <law <music <college
player | | <chess <poker <piano <card <record <trumpet
coach | | <life <stage <dialogue
magic magical | | <movie
art | | >of
moral | | >of
power | <of <for <and <political <absolute >struggle >and >corrupts | <star <flower <nuclear >source >to
powers | | <great <super- <foreign <european <western <allied <world
company | | <keep <good <enjoy <her <his <of <in >of <keeping <theater <theatre <dance <ballet <opera
space | <in <outer <through <deep <of <from <into >travel >station >mission >crew >pirate >ship >shuttle >explorer |
    ~parking
trial | <the <a <on <his <her <murder <their <criminal >of | <clinical
setting.trial | <on <the <a <murder >of <his <her <their | <clinical
office | <the <an <his <her <law <corporate <at <in | >of
school | <the <a <at <to <in <from <her <his <their <new <private <catholic <local <public <girls <boys <strict <after
    <of <my <all-girls <all-boys <old >year >days >teacher >friends >reunion >bully >principal >play >bus | >of >for
drug | | >store >company
couple | | >of >days >weeks >months >hours >years >bucks
haunted | >by |
santa | | >^
frontier | <western <american <the | >between
themes.affair | | <love <family
college | | >dropout >graduate >friend >friends >buddy >buddies
prom | | >date
goal.investigate goal.investigates goal.investigating | ~murder ~murders ~murdered ~killing ~killings ~killed ~death
    ~deaths |
accused_of | ~murder ~murdering ~crime ~killing ~killed ~treason ~theft |
on_the_road | | >to
demon demons | | <boy's <inner <personal <his <her <own
artistic | | >outlet >director >freedom
newspaper | ~reporter ~editor ~journalist ~reporters ~journalists ~newspaperman >reporter >editor >office |
musical | <a <the <broadway <stage <new <hit >theatre >theater >number >numbers |
business | | >of >side >end
violent | | >storm >storms >weather
rebel rebels | | >against
town | | <in <to
twist | <plot <surprise <final |
bar | <the <a <local <seedy <dive <same <gay <biker <karaoke >owner >fight | >association
missing | | >out >from
life_of | >^ |
play | <a <the <his <her <new <school <stage <this <about |
blind | | >date >spot >eye >alley >faith >to
rich | | >in
brilliant | | >idea >plan
honest | | <to
band | <a <the <rock <metal <punk <jazz <garage <local <his <her <their <school >plays >on >called >as >that | >of
    >together
boy | <a <the <young <little <small <teenage <orphan <poor <this <another <local <that | >meets
girl | <little <young <small <teenage <orphan <year-old <school | <party <city <dream
documentary | | >filmmaker >filmmakers >crew >maker >director
novel | | >way >idea >approach
witness | | >to
fashion | <of <in <high >designer >world >industry >magazine >show >model |
shooting | <a <the <mass <fatal <police | >star >a >stars >script
detective | | >work
"""

# Places, which have a capital and may be part of a name.
_PLACES = """
new york, manhattan, brooklyn, bronx, harlem, los angeles, hollywood, beverly hills, las vegas, chicago, san
francisco, texas, mississippi, alabama, louisiana, new orleans, georgia, london, england, britain, ireland, dublin,
scotland, paris, france, italy, rome, venice, sicily, germany, berlin, russia, moscow, spain, madrid, japan, tokyo,
china, beijing, shanghai, hong kong, india, vietnam, africa, kenya, south africa, australia, south america, brazil,
argentina, colombia, rio, mexico, europe, iraq, iran, israel, egypt, afghanistan, middle east, amazon, sahara,
everest, alps, alaska, arctic, antarctica, antarctic, wall street, broadway, washington, white house, mars
"""

# Adjectives that say where a film is set only before a word for a place (`_PLACE_NOUNS`).
_NATIONALITIES = """
english british irish scottish parisian french italian german russian soviet spanish japanese chinese indian
vietnamese african australian mexican european southern
"""

# Other keywords that have a capital.
_PROPER = """
fbi agent, fbi agents, cia agent, cia agents, cia operative, dea agent, mi6, kgb, nazi, nazis, hitler, gestapo,
world war ii, wwii, second world war, vietnam war, cold war, civil war, holocaust, jews, jewish, catholic, bible,
christmas, santa, santa claus, halloween, satan, dracula, godzilla, terminator, shakespeare, mafia, lsd, dna, tv,
olympic, olympics, native american, indians, pow, ancient rome, ancient greece, ancient egypt, roman empire, middle
ages, wild west, old west, deep south, broadway, rock and roll, prisoner of war, death row, martians
"""

# Words that stand before the name of their bearer.
_TITLES = """
detective inspector captain sheriff deputy agent king queen prince princess president senator governor mayor doctor
professor father sister coach emperor dictator sergeant officer judge attorney pastor reporter journalist writer
author actor actress singer photographer director filmmaker lawyer pilot
"""

_PLACE_NOUNS = """
town village city countryside coast capital island islands riviera estate manor mansion boarding school prison
university province resort seaside coastal suburb port harbor harbour castle palace monastery convent outback desert
jungle mountains alps border farm farmhouse hamlet court society underworld empire frontier wilderness moors slum
streets restaurant hotel
"""

# Words for people besides the lexicon's protagonists: what an adjective of character is said of.
_PEOPLE = """
man woman men women guy lad fellow person people boy boys girl girls youth lady gentleman kid kids bachelor spinster
bachelors outsider loner hero heroine clerk cook chef baker butcher shepherd mechanic engineer librarian banker
accountant gardener pastry farmer miner plumber carpenter postman shopkeeper landlord neighbour neighbor worker
officer agent captain king queen prince princess aristocrat heir heiress aunt uncle grandmother grandfather brother
sister son daughter parents family youngster american englishman frenchman clown professor criminal gambler
performer comedian composer designer editor executive
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
