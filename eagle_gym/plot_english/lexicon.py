"""The words of plot English: every attribute value, how it is written, and what indicates it in real films.

A line of a table reads `surface | MovieLens tags | words in an overview`. The surface is both the value's name and the
phrase that is written in a text; the name of a genre is written before `=`. A MovieLens tag that equals the surface is
implied, and so is a word in an overview, except in tables that are marked as explicit. A line that ends in a comma goes
on in the next one. What else has to hold of an overview's words is in `contexts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

SINGLE_SLOTS = ("decade", "tone", "setting", "protagonist", "trait", "goal", "antagonist", "ending")
SET_SLOTS = ("genres", "themes", "styles", "motifs")
SLOTS = (
    "genres", "decade", "tone", "setting", "protagonist", "trait", "goal", "antagonist", "themes", "motifs", "styles",
    "ending",
)  # fmt: skip

# Most values that candidates and real films put into a set; the grammar itself reads any number.
CAPACITY: Mapping[str, int] = MappingProxyType({"genres": 4, "themes": 3, "styles": 3, "motifs": 4})

_GENRES = """
Action = action
Adventure = adventure
Animation = animation
Children = children's
Comedy = comedy
Crime = crime
Documentary = documentary
Drama = drama
Fantasy = fantasy
Film-Noir = film noir
Horror = horror
IMAX = giant-screen
Musical = musical
Mystery = mystery
Romance = romance
Sci-Fi = science fiction
Thriller = thriller
War = war
Western = western
"""

_DECADES = "1900s 1910s 1920s 1930s 1940s 1950s 1960s 1970s 1980s 1990s 2000s 2010s 2020s"

# Tones: explicit words only, since everyday adjectives say little about a film in an overview.
_TONES = """
dark | dark | dark secret, dark past, darkness, darker, sinister
bleak | depressing, cynical | bleak, grim, despair
brooding | enigmatic | brooding, haunted, tormented, troubled
eerie | eerie | eerie, strange events, supernatural, unexplained
terrifying | scary | terrifying, terror, terrorized, terrorize, terrorizes, nightmare
gritty | | gritty
brutal | brutality, bloody, violent | brutal, brutally, savage, vicious
tense | suspense, suspenseful | tense, race against time, deadly, danger, dangerous
breathless | | breakneck, fast-paced, relentless, frantic
light-hearted | fun | light-hearted, lighthearted, cheerful
hilarious | very funny | hilarious, hilarity, hilariously, outrageous
playful | goofy, silly | playful, mischievous, fun-loving, antics, wacky
riotous | | riotous, mayhem, madcap, zany
whimsical | imagination | whimsical, enchanted, fanciful
tender | sweet, love | tender, gentle, affection
heart-rending | made me cry | heart-rending, heartbreak, grief
hopeful | | hopeful, hopes and dreams
melancholy | sad | melancholy, sorrow, mourning
romantic | | romantic, romance, passionate
ironic | irony | ironic, irony, ironically
deadpan | | deadpan
"""

# Settings: the surface has its preposition; words are explicit.
_SETTINGS = """
on a submarine | submarine | submarine, nuclear sub
on a ship | ship | ship, boat, yacht, vessel, sailing, cruise
on a train | train, trains | train, railroad, railway
on a plane | airplane | airplane, plane, airliner, airport
on the road | road trip, road movie | road trip, on the road, cross-country, hitchhiker
in deep space | space, space travel, space opera, nasa | space, spaceship, starship, spacecraft, galaxy, astronaut
on the moon | moon | the moon, lunar
on a distant planet | planet, mars | distant planet, alien planet, strange planet, another planet, mars
in a small town | small town | small town, small-town, sleepy town, little town, town, village
in the suburbs | suburbia | suburb, suburbs, suburban, suburbia
in New York | new york, new york city | new york, manhattan, brooklyn, bronx, harlem
in Los Angeles | l.a., hollywood, los angeles | los angeles, hollywood, beverly hills
in Las Vegas | las vegas | las vegas
in Chicago | chicago | chicago
in San Francisco | san francisco | san francisco
in Texas | texas | texas
in the American South | | mississippi, alabama, louisiana, new orleans, georgia, deep south, southern
in London | london | london
in England | england | england, english, british, britain
in Ireland | ireland | ireland, irish, dublin
in Scotland | scotland | scotland, scottish
in Paris | paris | paris, parisian
in France | france | france, french
in Italy | italy, rome | italy, italian, rome, venice, sicily
in Germany | germany, berlin | germany, german, berlin
in Russia | russia | russia, russian, soviet, moscow
in Spain | spain | spain, spanish, madrid
in Japan | japan | japan, japanese, tokyo
in China | china | china, chinese, beijing, shanghai
in Hong Kong | hong kong | hong kong
in India | india | india, indian
in Vietnam | vietnam | vietnam, vietnamese
in Africa | africa | africa, african, kenya, south africa
in Australia | australia | australia, australian, outback
in South America | south america | south america, brazil, argentina, colombia, rio
in Mexico | mexico | mexico, mexican
in Europe | europe | europe, european
in the Middle East | middle east | iraq, iran, israel, egypt, afghanistan, middle east
in the jungle | jungle | jungle, amazon, rainforest
in the desert | desert | desert, sahara
in the mountains | | mountain, mountains, everest, alps
in the arctic | | arctic, antarctica, alaska, antarctic
on an island | island | island, desert island, deserted island
at the beach | surfing | beach, surfer, surfing
under the sea | sharks | underwater, undersea, deep sea, ocean floor, bottom of the ocean, bottom of the sea
in the woods | | woods, forest
on a farm | | farm, ranch, farmer
at a high school | high school, school | high school, high-school, prom
at a college | college | college, university, campus, fraternity
at a boarding school | | boarding school, prep school
in a prison | prison | prison, prison break, jail, inmate, inmates, penitentiary
in a mental hospital | mental hospital | asylum, mental hospital, psychiatric, mental institution
in a hospital | hospital | hospital, clinic
in a courtroom | court, courtroom drama, lawyers | courtroom, in court, court case, trial
in an office | business | office, corporate, company, corporation
on Wall Street | wall street | wall street, stock market, stockbroker, stock broker
in a newsroom | journalism | newsroom, newspaper, tabloid
in a haunted house | haunted house | haunted house, haunted mansion, haunted hotel
in a hotel | | hotel, motel, resort
in a nightclub | nightclub | nightclub, night club, strip club
in a theater | theater, broadway, show business | theater, theatre, broadway, on stage, onstage
at a circus | circus | circus, carnival
in a fantasy kingdom | fantasy world, king arthur, tolkien, tolkein | kingdom, realm, throne
in a dystopian city | dystopia | dystopian, totalitarian, futuristic city
in a ruined world | post-apocalyptic, post apocalyptic, apocalypse | post-apocalyptic, apocalypse, wasteland
in the Wild West | spaghetti western | wild west, old west, frontier, gunslinger
in ancient times | myth | ancient rome, ancient greece, ancient egypt, roman empire, biblical, gladiator
in the Middle Ages | medieval | medieval, middle ages, crusade, crusades
in a virtual world | virtual reality | virtual reality, virtual world, simulation, computer world
in Washington | | washington, white house
"""

_PROTAGONISTS = """
detective | detective | inspector, sleuth, private eye, private investigator, investigator
police officer | police | cop, cops, police, policeman, sheriff, deputy
spy | spying | spy, spies, secret agent, mi6
federal agent | fbi | fbi agent, cia agent, dea agent, fbi agents, cia agents, cia operative, federal agents
soldier | military, sniper | soldier, soldiers, marine, marines
pilot | | pilot, pilots
sailor | | sailor, sailors, fisherman, navy officer, navy man, ship's captain, sea captain
lawyer | lawyer | lawyer, attorney, prosecutor
doctor | doctors | doctor, surgeon, physician
nurse | | nurse
psychiatrist | psychiatrist | psychiatrist, psychologist, therapist, shrink
scientist | science | scientist, professor, physicist, biologist, inventor
journalist | | journalist, reporter
writer | writing, capote, hemingway | writer, author, novelist, screenwriter, poet
artist | art | artist, painter, sculptor
photographer | | photographer
musician | | musician, singer, guitarist, pianist, rock star, rapper, band
actor | | actor, actress, movie star
filmmaker | movie business | filmmaker, film director, movie director
dancer | | dancer, ballerina
boxer | | boxer, prizefighter, wrestler
athlete | | athlete, player, quarterback, champion, coach
teacher | | teacher, schoolteacher, tutor
student | | student, students, freshman, pupil, pupils
teenager | teen | teenager, teen, teens, teenage, adolescent, high schooler
child | children | child, boy, little girl, kid, kids, girl
orphan | orphans | orphan, orphaned
mother | motherhood | mother, mom, single mother
father | fatherhood | father, dad, single father
widow | widows/widowers | widow, widower
housewife | | housewife
businessman | | businessman, executive, entrepreneur, tycoon, millionaire, billionaire
salesman | | salesman, salesperson
politician | | politician, senator, mayor, governor, president
priest | priest | priest, minister, nun, pastor, missionary
farmer | | rancher, peasant
cowboy | | cowboy, gunfighter
thief | heist | thief, thieves, burglar, robber, con man, con artist
gangster | gangster, gangsters | gangster, mobster, drug dealer
hitman | hitman, hit men, assassin | hitman, hit man, assassin, contract killer
ex-convict | | ex-con, ex-convict, parolee
bounty hunter | | bounty hunter, mercenary
knight | | knight, warrior
princess | | princess, queen
wizard | wizards | wizard, witch, sorcerer
superhero | superhero | superhero, super hero, superpowers, crime-fighter
samurai | samurai | samurai, ninja
pirate | swashbuckler | pirate, pirates
explorer | archaeology | explorer, archaeologist, adventurer, expedition
hacker | | hacker, programmer, computer expert
astronaut | | astronaut, astronauts, cosmonaut
android | | android, cyborg
butler | butler | butler, maid, servant
waitress | | waitress, bartender, barmaid
driver | | driver, racer, taxi driver, cabbie
drifter | homeless | drifter, vagabond, homeless, tramp
immigrant | immigrants | immigrant, refugee
slave | slavery | slave, slaves, slavery
couple | marriage | couple, newlyweds, husband and wife, lovers
pair of friends | bromance | best friends, two friends, friends, buddies, childhood friends, lifelong friends
family man | | family man
"""

_TRAITS = """
retired | | retired, retirement
reckless | | reckless, rebellious, hot-headed, maverick
shy | | shy, timid, introverted
lonely | loneliness | lonely, loner, isolated
brilliant | intelligent | brilliant, genius, gifted, prodigy
disgraced | | disgraced, washed-up, down-on-his-luck, has-been, burned-out
ambitious | | ambitious, aspiring
naive | | naive, gullible, innocent young
ageing | | aging, ageing, elderly, old man, old woman
grieving | | grieving, bereaved, grief-stricken
blind | blind, blindness | blind
alcoholic | | alcoholic, hard-drinking, drunk
wealthy | | wealthy, rich, aristocratic
poor | | poor, impoverished, struggling, working-class, penniless
bored | | bored, disillusioned
cynical | | world-weary, jaded
stubborn | | stubborn, determined, tenacious, headstrong
eccentric | | eccentric, quirky, oddball, unconventional
charming | | charismatic, suave
clumsy | | clumsy, bumbling, hapless, inept
fearless | | fearless, brave, courageous, heroic
corrupt | | crooked
rookie | | rookie, newcomer, novice
divorced | divorce | divorced, divorcee
wounded | | wounded, injured, crippled, paralyzed
forgetful | amnesia | amnesia, amnesiac, memory loss
immortal | | immortal
idealistic | | idealistic, honest, principled
vengeful | | vengeful, avenging
mysterious | | mysterious stranger, mysterious
"""

_GOALS = """
rob a bank | | rob a bank, bank robbery, bank heist, heist, robbery, rob, steal
solve a murder | | solve, murder, murders, investigate, investigates, investigating, murdered
find a missing child | | missing, disappearance, disappears, disappeared, kidnapped
save the world | | save the world, save the earth, save the planet, save the universe, save humanity, save mankind
stop a bomb | | bomb, bombs, explosives
escape from captivity | | escape, escapes, captive, break out, prison break, breaks out of prison
clear a name | | framed for, wrongly accused, falsely accused, accused of, prove his innocence, prove her innocence
win a championship | sports | championship, tournament, competition, contest, compete
win back a lost love | | win back, ex-girlfriend, ex-wife, former lover
find true love | | falls in love, fall in love, falling in love, fell in love, find love, true love
avenge a murder | | avenge, vengeance, revenge
survive the night | survival | survive, survival, stay alive, survivors
get home | | get home, return home, way home, back home
find a treasure | treasure hunt | treasure, buried gold, gold
win a war | | battle, fight against, war against, invasion
protect a witness | | protect, bodyguard, witness
raise a child | | raise, raising, adopt, adopted, custody
save the family home | | foreclosure, save the farm, save the house, save their home, save his home, save her home
start over | | start over, new life, start a new, second chance
uncover a conspiracy | conspiracy theory | conspiracy, uncover, uncovers, cover-up
expose a crime | | expose, exposes, whistleblower
overthrow a tyrant | | overthrow, rebel, rebels, rebellion, revolution, resistance
rescue a hostage | | rescue, hostage, hostages, hostage-taker
put on a show | | put on a show, rehearsal, perform, performance
become famous | | become famous, becomes famous, fame, stardom
keep a secret | | keep a secret, keeps a secret, keep the secret, keep their secret, keep her secret, keep his secret
assume a false identity | | undercover, disguise, disguises, false identity, new identity, assumed identity,
secret identity, double life, impersonate, impersonates, poses as, posing as
reach a distant place | | journey, travel, travels, voyage, trek
build something new | | invent, invents, invention, build a, builds a
hunt a monster | | hunt, hunts, hunting, track down
win an election | | election, campaign, candidate
change the past | | change the past, back in time, alter history
get married | wedding, weddings | marry, engaged to, wedding, bride
stop a wedding | | stop the wedding, stop her wedding, stop his wedding, sabotage the wedding
pass a test of courage | | prove himself, prove herself, courage
pay off a debt | | debt, debts, owes
break a curse | | curse, cursed, under a spell, break the spell
find a lost father | | find his father, find her father, long-lost father, estranged father, absent father
make peace with the past | | his past, her past, their past, a past, painful memories, troubled past, dark past
kill a rival | | rival, rivals, rivalry, feud
"""

_ANTAGONISTS = """
a serial killer | serial killer, jason, psychopaths, hannibal lecter | serial killer, killer, murderer, psychopath
a crime boss | mafia, organized crime | crime boss, mob, mob boss, mafia, godfather, drug lord, kingpin
a street gang | gangs | gang, gangs, thugs
a corrupt official | corruption | corrupt, corruption
an evil corporation | | evil corporation, greedy, ruthless businessman
a mad scientist | | mad scientist, evil genius
a vampire | vampires, vampire | vampire, vampires, dracula
zombies | | zombie, zombies, undead
a ghost | ghosts | ghost, ghosts, evil spirit, evil spirits, vengeful spirit, poltergeist
a demon | demons | demon, demons, devil, satan, possessed
a monster | | monster, creature, creatures, beast, godzilla
aliens | aliens | alien, aliens, extraterrestrial, extraterrestrials, martians
a rogue machine | | evil machines, killer robot, killer robots, rogue computer, terminator
a tyrant | | tyrant, dictator, evil king, evil queen, evil emperor
an evil sorcerer | | evil witch, dark lord, sorceress
terrorists | terrorism | terrorist, terrorists, terrorism
a Nazi officer | nazis, holocaust | nazi, nazis, hitler, gestapo
an enemy army | world war ii, civil war | enemy lines, enemy forces, enemy soldiers, enemy troops, enemy army,
invading army
a foreign spy | cold war, espionage | kgb, double agent, espionage
a secret society | secret society | cult, secret society, sect
a stalker | | stalker, stalking, stalked
a jealous husband | adultery | jealous, jealous husband
a strict father | | strict, disapproving, overbearing
a bully | | bully, bullies
a rival team | | rival team, opposing team
a rich family | class | wealthy family, high society, aristocracy
a wild animal | shark | shark, bear, wolf, wolves, crocodile, snake, snakes
dinosaurs | | dinosaur, dinosaurs
a deadly virus | | virus, plague, disease, epidemic, outbreak
a natural disaster | | storm, tornado, earthquake, volcano, flood, natural disaster, tsunami
a doomsday comet | | asteroid, comet, meteor
a slasher in a mask | slasher, halloween | masked killer, slasher
a doppelganger | | his double, her double, lookalike, clone
an outlaw gang | | outlaws, bandits, desperadoes
a cruel warden | | warden
a con artist | | swindler, scam
the police | | authorities, fugitive, manhunt
a hired killer | assassination | hired killer, assassins, assassinate, assassination
a bitter ex | | ex-husband, ex-boyfriend
a scheming rival | | nemesis, arch-enemy, villain, villains
"""

_THEMES = """
revenge
friendship | | friend, friends, friendship, buddy, best friends, two friends, childhood friends, lifelong friends
love | love story | love, lover, romance
family | | family, families, brothers, sisters, siblings, parents
marriage | | marriage, married, wife, husband
divorce
adultery | | affair, infidelity, cheating
parenthood | | father, mother, son, daughter, parenting
growing up | adolescence | coming of age, coming-of-age, growing up, adolescence, youth
loss | | loss, mourning
death | | death, dying, dead
grief
memory | | memory, memories
identity | | identity
obsession | | obsession, obsessed, obsessive
betrayal | | betrayal, betrayed, betrays
justice | | justice
corruption
power | | power
greed | | greed, greedy
fame | | fame, celebrity
racism | race, anti-semitism | racism, racial, racist, prejudice
religion | bible, judaism | religion, religious, church, bible, faith, jewish, catholic
faith
politics | union | politics, political
class | | social class, upper class, working class
sexuality | | sexuality, gay, lesbian, sexual, sex
loneliness
mental illness | schizophrenia, insanity, depression | mental illness, madness, insane, schizophrenia
addiction | alcoholism, drug abuse, heroin | addiction, addict, addicted
paranoia | paranoid
freedom | | freedom, liberty, set free
the cost of war | world war i | war
survival
disability
illness | terminal illness, cancer, aids, coma | illness, cancer, dying of, terminally
existence | existentialism, philosophy | meaning of life, existence
morality | | moral, morality
redemption | | redemption, redeem
loyalty | | loyalty, loyal, honor, honour
courage
destiny | | destiny, fate, fated, prophecy
poverty | | poverty, poor, slum
equal rights | girl power, white guilt | civil rights, equality
immigration | | immigration, immigrants
pregnancy | | pregnancy, pregnant
adoption
childhood | child abuse | childhood
old age | | old age, elderly
nature | | nature, wilderness
technology | | technology, internet
science
dreams | | dream, dreams
truth | | truth
second chances | | second chance, redeem
first love | virginity | first love, crush, high school sweetheart
"""

# Styles: adjectives; explicit words only.
_STYLES = """
atmospheric
funny | humorous, humour, humor, comedy | funny, comedic, laughs
quirky | off-beat comedy, unique | quirky, offbeat
surreal | | surreal, bizarre
thought-provoking
visually stunning | visually appealing, visually stunning, beautiful scenery | spectacular
dreamlike | | dreamlike
disturbing | offensive, controversial | disturbing, shocking
mind-bending | mindfuck, complicated | mind-bending
emotional | moving | emotional
bittersweet
psychological | psychological thriller | psychological
philosophical | reflective | philosophical
stylized
stylish | | stylish
creepy | | creepy
heartwarming | feel-good | heartwarming, heart-warming
beautiful | | breathtaking
clever | smart | clever
witty | | witty
predictable
intelligent
cerebral | intellectual | intellectual
gothic | | gothic
hallucinatory | | hallucination, hallucinations
psychedelic | | psychedelic, lsd
touching | | touching
inspirational | inspiring | inspiring, inspirational
poignant | sentimental | poignant
heartbreaking
intense | | intense
weird | | weird
irreverent | | irreverent
epic | | epic, sweeping
artistic | poetic | artistic
claustrophobic
nonlinear | multiple storylines | intertwined, interconnected, told in flashbacks
romantic in spirit | chick flick, romance | love story
black and white
darkly comic | dark comedy, black comedy, dark humor | dark comedy, black comedy
satirical | satire, spoof, parody | satire, satirical, parody, spoof
screwball | screwball | screwball, mix-up, misunderstanding
sarcastic | sarcasm | sarcastic
crude | crude humor | raunchy
allegorical | social commentary | allegory
suspenseful
retro
classic | classic | classic
cult | cult film, cult | cult classic
neo-noir
futuristic | future, futuristic | in the future, near future, distant future, futuristic
true to life | true story, based on a true story | true story, real-life, true-life, based on the true
bookish | based on a book, books | novel, based on the book
theatrical | shakespeare, shakespeare sort of | shakespeare, play, playwright
biographical | biopic | biography, biographical, life of, life story
fairy-tale | fairy tales, disney | fairy tale, fairytale, enchanted
tuneful | great soundtrack, soundtrack, good soundtrack, notable soundtrack | songs
animated | animation, pixar, claymation | animated
action-packed | action | action-packed
violent | violence, guns | violence, violent
scary | horror | scary, frightening
sexy | | sexy, seductive, erotic
sweeping
ensemble | ensemble cast | ensemble
documentary-like | documentary, mockumentary | documentary
witty and fast | dialogue, good dialogue, highly quotable, quotable | banter
"""

_MOTIFS = """
time travel | time travel | time travel, time machine, back in time
robots | robots | robot, robots, android, androids
artificial intelligence | | artificial intelligence
superpowers | marvel, dc comics, comic book, batman | superpowers, powers, superhero
magic | magic | magic, magical, magician
martial arts | martial arts | martial arts, kung fu, karate
swordfights | | sword, swords, duel
car chases | | car chase, car chases, car race, car races, car racing, street racing, race car, race cars, drag race,
drag racing, fast cars
gunfights | guns | gun, guns, shootout, shooting
explosions | | explosion, explodes
a heist | heist | heist, robbery
a murder | murder | murder, murders, murdered
a kidnapping | kidnapping | kidnapping, kidnapped, abducted, kidnap
an assassination | assassination | assassination, assassinate
a trial | | trial, jury
a wedding | wedding, weddings | wedding, bride, groom
a funeral | | funeral
a reunion | reunion | reunion, reunite, reunited
a road trip | | road trip
a chase | fugitive | chase, chased, pursuit, pursued, on the run
a twist | twist ending, plot twist, twist, twists & turns
a secret | scandal | secret, secrets
an unsolved riddle | mystery | mystery
a prophecy | | prophecy, chosen one
a love triangle | | love triangle, torn between
a makeover | | makeover
mistaken identity | | mistaken for, switched at birth
cross-dressing | men in drag, cross dressing | in drag, drag queen, drag queens, dressed as a woman,
disguised as a woman, dressed as women
twins | twins | twin, twins
body swaps | transplants | swap bodies, swaps bodies, swapped bodies, switch bodies, switched bodies, trade bodies,
body swap
clones | | clone, clones, cloning
ghosts | ghosts | ghost, ghosts
vampires | vampires, vampire | vampire, vampires
werewolves | | werewolf, werewolves
witches | | witch, witches, witchcraft
zombies everywhere | zombies | zombie, zombies
dragons | | dragon, dragons
fairies | | fairy, fairies, elf, elves
toys | | toy, toys, doll
talking animals | animal movie | talking dog, talking animal, talking pig, talking cat, talking mouse, talking bear
dogs | dogs | dog, dogs, puppy
cats | | cat, cats
horses | horses | horse, horses
birds | birds | bird, birds, penguin, penguins
fish | fish | fish, dolphin, whale
insects | | insect, ant, ants, bees, spider, spiders
monkeys | | monkey, ape, apes, gorilla, chimpanzee
bears | | bear, bears
music | music, music business | music, song, songs, album
jazz | jazz | jazz, saxophone
rock and roll | | rock and roll, rock 'n' roll, rock'n'roll, rock band, rock group, rock star, rock music, rocker
opera | | opera
dance | dance | dance, dancing
ballet | ballet | ballet
figure skating | figure skating | skating, ice skating
boxing | boxing | boxing
baseball | baseball | baseball
basketball | basketball | basketball
football | football | football, soccer
golf | golf | golf
hockey | | hockey
the Olympics | olympics | olympic, olympics
surfing | surfing | surf, surfing
chess | chess | chess
gambling | gambling | gambling, gambler, poker
drugs | drugs | drug, drugs, cocaine
alcohol | alcoholism | drinking, bar
food | food | food, restaurant, chef, cooking
fashion | | fashion, fashion model, supermodel
photography | photography | photograph, photographs, photographer
television | television, tv, based on a tv show | television, tv
radio | radio | radio
movies | movies, hollywood | filmmaking, film director, movie star
books | books | book, books
letters | personals ads, dating | letter, letters, diary
computers | | computer, computers, online
mathematics | mathematics | mathematics, mathematician
medicine | | medical, cure
psychology | psychology | psychology
hypnosis | brainwashing | hypnosis, brainwashed
dreams and visions | hallucinatory | vision, visions
amnesia | amnesia | amnesia
a coma | coma | coma
parallel worlds | alternate reality, alternate universe | parallel universe, parallel world, parallel dimension,
alternate reality, alternate universe, alternate world
space travel | space travel, star wars, star trek | spaceship, space
first contact | aliens | extraterrestrial, alien
the end of the world | last man on earth | end of the world, extinction
nuclear weapons | | nuclear, atomic
submarines and ships | | navy, torpedo
planes | | fighter pilot, jet, plane, airplane
trains | trains | train
motorcycles | | motorcycle, biker
military life | military | military, army, platoon
prisoners of war | pow | prisoner of war, prisoners of war, pow
the Holocaust | holocaust | holocaust, concentration camp, jews
World War II | world war ii | world war ii, wwii, second world war
the Vietnam War | vietnam | vietnam war
the Cold War | cold war | cold war
civil war | civil war | civil war
terrorism | terrorism | terrorism, hijacked
espionage | spying, espionage, tom clancy | espionage, spy, spies
the Mafia | mafia | mafia, mob
police work | police | police, detective
prison life | prison, death penalty | prison, prison break, death row
courts and lawyers | john grisham, lawyers | lawyer, lawyers, attorney
journalism | journalism | journalist, reporter
politics and power | president | president, election, politician
business | business | business, businessman
royalty | | royal, king, queen, prince
school life | high school, school | school, teacher, classmates
college life | college | college
summer camp
Christmas | christmas | christmas, santa, santa claus
Halloween | halloween | halloween
a party | | party
a vacation | | vacation, holiday
teenage romance | | prom
a newborn | babies | newborn, baby
prostitution | prostitution | prostitute, prostitution, call girl
suicide | | suicide, suicidal
blackmail | | blackmail, blackmailed
a curse | | curse
a treasure map | treasure hunt | treasure
archaeology | archaeology | archaeologist, archaeologists
buried secrets | memory | dark secret, family secret
a diary of crimes
a monster hunt | | monster hunter, monster hunters, hunt the creature, hunt the monster
an experiment | | experiment, experiments
a virus | | virus, infected
genetic engineering | | genetic, mutant, mutants, dna
a shipwreck | | shipwreck, shipwrecked, castaway
a desert island | island | desert island, deserted island
a storm | | storm, hurricane
mountaineering | | mountain climber, mountain climbers, mountain climbing, mountaineer, mountaineers
hunting | | hunter, hunters
farm life | | farm
small-town life | | small town
immigrant life | immigrants, amish | immigrant, immigrants
feminism | girl power | feminist
a stage show | show business, theater, rogers and hammerstein | broadway, musical
art | art | art, painting
poetry | | poetry, poem, poet
religion and ritual | religion, missionary | church, priest
an exorcism | demons | exorcism, exorcist
evil children | evil children | evil child
serial murders | serial killer, slasher | serial killer
knights and castles | king arthur | knight, castle
samurai duels | samurai | samurai
pirates | swashbuckler | pirate, pirates
cowboys | western | cowboy, cowboys
native peoples | | native american, tribe, indians
"""

_ENDINGS = """
happily | | happily ever after, happy ending
in tragedy | | tragedy, tragic, tragically
in triumph | | triumph, triumphs, victory
with a twist | twist ending, great ending | nothing is what it seems, not what it seems
in sacrifice | | sacrifice, sacrifices
with a reunion | | reunite, reunited, reconciliation
in ruin | | downfall
on an open question | alternate endings | uncertain
with a wedding | |
in forgiveness | | forgiveness, forgive, redemption
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of the lexicon.

    Attributes:
        slot: The attribute that it belongs to, one of `SLOTS`.
        value: Its name, which equals `surface` for every slot except genres.
        surface: The phrase for it in a text, in lower case unless it is a proper name.
        tags: MovieLens tags that mean it.
        words: Words and phrases of an overview that mean it.
    """

    slot: str
    value: str
    surface: str
    tags: tuple[str, ...]
    words: tuple[str, ...]


def _fields(table: str) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    for line in table.strip().replace(",\n", ", ").splitlines():
        surface, tags, words = ([part.strip() for part in line.split("|")] + ["", ""])[:3]
        yield surface, _names(tags), _names(words)


def _names(column: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in column.split(",") if part.strip())


def _genres() -> Iterator[Entry]:
    for surface, _, _ in _fields(_GENRES):
        value, written = (part.strip() for part in surface.split("="))
        yield Entry("genres", value, written, (), ())


def _decades() -> Iterator[Entry]:
    for decade in _DECADES.split():
        yield Entry("decade", decade, decade, (), ())


def _table(slot: str, table: str, explicit: bool = False) -> Iterator[Entry]:
    for surface, tags, words in _fields(table):
        bare = surface.lower()
        own_tags = tuple(dict.fromkeys((*tags, bare)))
        own_words = words if explicit else tuple(dict.fromkeys((*words, bare)))
        yield Entry(slot, surface, surface, own_tags, own_words)


@cache
def entries() -> tuple[Entry, ...]:
    """Every entry of the lexicon, in the fixed order that `FEATURES` has."""
    return (
        *_genres(),
        *_decades(),
        *_table("tone", _TONES, explicit=True),
        *_table("setting", _SETTINGS, explicit=True),
        *_table("protagonist", _PROTAGONISTS),
        *_table("trait", _TRAITS),
        *_table("goal", _GOALS),
        *_table("antagonist", _ANTAGONISTS),
        *_table("themes", _THEMES),
        *_table("motifs", _MOTIFS),
        *_table("styles", _STYLES, explicit=True),
        *_table("ending", _ENDINGS, explicit=True),
    )


@cache
def values(slot: str) -> tuple[str, ...]:
    """The values of a slot, in the lexicon's order."""
    return tuple(entry.value for entry in entries() if entry.slot == slot)


@cache
def surfaces() -> Mapping[tuple[str, str], str]:
    """The phrase of each (slot, value)."""
    return MappingProxyType({(entry.slot, entry.value): entry.surface for entry in entries()})
