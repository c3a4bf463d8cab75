# ruff: noqa: E501
"""Words with one clear sense, which training swaps and inserts.

No word of the evaluation's edits is among them (decades and genres are closed classes and excepted).
"""

from __future__ import annotations

from typing import Final


def _words(line: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in line.replace("\n", " ").split(",") if word.strip())


WOMEN: Final = _words(
    "Anna, Maria, Sarah, Emma, Claire, Julia, Laura, Alice, Grace, Helen, Rosa, Nina, Vera, Kate, Lucy, Ruth, Sophie, "
    "Diana, Elena, Marta, Joan, Rachel, Rebecca, Hannah, Molly, Amy, Beth, Carol, Donna, Eve, Fiona, Gloria, Irene, "
    "Jane, Karen, Linda, Margaret, Nora, Olivia, Paula, Sandra, Teresa, Victoria, Wendy, Yvonne, Zoe, Lily, Maya, Emily, "
    "Jessica, Samantha, Rachel, Ava, Mia, Sofia, Charlotte, Amelia, Lena, Leah, Mei, Aisha, Fatima, Priya, Yuki, Carmen"
)  # fmt: skip
MEN: Final = _words(
    "John, Peter, Jack, Tom, David, Paul, Mark, James, Robert, Frank, George, Henry, Max, Sam, Ben, Daniel, Michael, "
    "Adam, Alex, Andrew, Anthony, Carl, Charles, Chris, Edward, Eric, Fred, Gary, Harry, Ivan, Jake, Joe, Kevin, Larry, "
    "Leo, Louis, Luke, Martin, Matt, Nick, Oliver, Oscar, Patrick, Philip, Ray, Richard, Roger, Sean, Simon, Steve, "
    "Thomas, Tony, Victor, Walter, William, Ethan, Liam, Noah, Ryan, Jason, Brian, Carlos, Diego, Hassan, Raj, Kenji, Pedro"
)  # fmt: skip
SURNAMES: Final = _words(
    "Smith, Miller, Baker, Carter, Cole, Davis, Evans, Fisher, Gray, Harris, Hill, Jones, Kelly, Lewis, Moore, Morgan, "
    "Parker, Reed, Ross, Stone, Taylor, Turner, Walsh, Ward, West, Wilson, Wood, Young, Novak, Garcia, Rossi, Weber"
)  # fmt: skip
PROFESSIONS: Final = _words(
    "nurse, doctor, surgeon, lawyer, teacher, pilot, chef, detective, reporter, journalist, photographer, painter, "
    "writer, musician, singer, pianist, dancer, actor, waiter, waitress, bartender, taxi driver, truck driver, bus driver, "
    "police officer, firefighter, soldier, sailor, spy, priest, nun, farmer, rancher, cowboy, mechanic, engineer, architect, "
    "scientist, physicist, biologist, professor, student, banker, accountant, salesman, secretary, politician, senator, "
    "mayor, judge, sheriff, thief, boxer, wrestler, football coach, jockey, gambler, magician, clown, fisherman, miner, "
    "hunter, butcher, baker, florist, hairdresser, fashion designer, psychiatrist, veterinarian, paramedic, security guard, "
    "prison guard, bounty hunter, hitman, bodyguard, diplomat, novelist, screenwriter, film director, astronaut, programmer, "
    "hacker, cartoonist, radio host, ballerina, opera singer, composer, sculptor, historian, archaeologist, housekeeper, butler"
)  # fmt: skip
PLACES: Final = _words(
    "Paris, London, Rome, Tokyo, Berlin, Vienna, Boston, Chicago, Denver, Seattle, Athens, Dublin, Madrid, Mumbai, Sydney, "
    "New York, Los Angeles, San Francisco, Las Vegas, Miami, Houston, Dallas, Phoenix, Atlanta, New Orleans, Philadelphia, "
    "Toronto, Vancouver, Mexico City, Rio de Janeiro, Buenos Aires, Barcelona, Venice, Florence, Milan, Munich, Hamburg, "
    "Moscow, Istanbul, Jerusalem, Delhi, Hong Kong, Shanghai, Beijing, Singapore, Melbourne, Johannesburg, Casablanca, "
    "Edinburgh, Liverpool, Manchester, Amsterdam, Brussels, Zurich, Stockholm, Copenhagen, Warsaw, Budapest, Texas, "
    "California, Alaska, Montana, Ireland, Scotland, France, Italy, Spain, Japan, China, India, Brazil, Kenya, Egypt"
)  # fmt: skip
SETTINGS: Final = _words(
    "on a submarine, on a ship, on a train, on a plane, on the moon, in deep space, on a distant planet, in a small town, "
    "in the suburbs, in the jungle, in the desert, in the mountains, in the arctic, on an island, at the beach, under the sea, "
    "in the woods, on a farm, at a high school, at a college, at a boarding school, in a prison, in a hospital, in a courtroom, "
    "in an office, on Wall Street, in a newsroom, in a haunted house, in a hotel, in a nightclub, in a theater, at a circus, "
    "in a fantasy kingdom, in the Wild West, in ancient Rome, in the Middle Ages, in a virtual world, in a castle, "
    "in a museum, in a library, in a monastery, in a casino, in a bakery, at a racetrack, in a shopping mall, in a garage, "
    "in a supermarket, at an airport, in a bunker, in an old cinema, in a remote village, on a space station, in a vineyard, "
    "in a coal mine, in a trailer park, at a summer camp, in a swamp, on a cruise ship, in a factory, in a restaurant"
)  # fmt: skip
DECADES: Final = _words("1910s, 1920s, 1930s, 1940s, 1950s, 1960s, 1970s, 1980s, 1990s, 2000s, 2010s")
GENRES: Final = _words(
    "comedy, drama, thriller, horror, musical, western, romance, mystery, crime, fantasy, science fiction, war, adventure, "
    "action, animated, documentary, film noir, romantic comedy, spy, disaster, sports, superhero, family, political, satirical"
)  # fmt: skip
# A film of the genre, with its article.
GENRE_FILMS: Final = _words(
    "a comedy, a drama, a thriller, a horror film, a musical, a western, a romance, a mystery, a crime film, a fantasy, "
    "a science fiction film, a war film, an adventure, an action film, an animated film, a documentary, a film noir, "
    "a romantic comedy, a spy film, a disaster film, a sports film, a superhero film, a family film, a political thriller, a satire"
)  # fmt: skip
THEMES: Final = _words(
    "revenge, friendship, love, family, marriage, divorce, growing up, loss, death, grief, memory, identity, obsession, "
    "betrayal, justice, corruption, power, greed, fame, racism, religion, faith, politics, loneliness, addiction, paranoia, "
    "freedom, survival, illness, redemption, loyalty, courage, destiny, poverty, childhood, old age, nature, technology, "
    "dreams, truth, second chances, first love, jealousy, ambition, guilt, hope, war, shame, pride, trust, sacrifice, class"
)  # fmt: skip
TONES: Final = _words(
    "funny, sad, dark, gentle, scary, romantic, tense, playful, bleak, warm, ironic, gritty, dreamy, absurd, serious, "
    "hopeful, violent, quiet, fast-paced, melancholy, sentimental, surreal, mysterious, cheerful, cynical, epic, suspenseful"
)  # fmt: skip
# Things that can be found, stolen or inherited.
THINGS: Final = _words(
    "treasure map, secret letter, diary, pistol, sword, horse, cat, parrot, suitcase, gold watch, diamond ring, necklace, "
    "painting, violin, trumpet, guitar, telescope, camera, motorcycle, bicycle, tractor, helicopter, hot-air balloon, bomb, "
    "briefcase, old radio, telephone, mirror, candle, lantern, umbrella, red coat, mask, doll, teddy bear, chessboard, "
    "deck of cards, lottery ticket, photograph, birthday cake, bottle of wine, knife, key, bell, coin, crown, stray dog, "
    "spaceship, time machine, robot, rare stamp, silver spoon, music box, wooden leg, magic lamp, ice cream van, fishing boat, "
    "love letter, tape recorder, box of matches, wedding dress, loaf of bread, map of the stars, bag of money, toy train"
)  # fmt: skip
# Beings and happenings that can be added to any story.
OTHERS: Final = _words(
    "ghost, dragon, vampire, wolf, bear, locked door, elevator, staircase, wedding, funeral, storm, earthquake, snowstorm, "
    "fire, car chase, trial, dance contest, chess match, boxing match, heist, kidnapping, curse, prophecy, monster, mermaid, "
    "witch, werewolf, alien, zombie, twin, long-lost brother, stepmother, grandmother, baby, plane crash, masked ball, "
    "school play, birthday party, train robbery, power cut, love triangle, bank robbery, blind date, talking dog, invisible man, "
    "giant spider, flood, jury, duel, road trip, rival, stowaway, prison break, treasure hunt, ghost ship, haunted mirror"
)  # fmt: skip
OBJECTS: Final = THINGS + OTHERS
