# ruff: noqa: E501
"""The tables behind edits: precise wordings, the ladder of tones, and vague directions with their outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Wordings per operation and slot. The first one is the plain one.
FORMS: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType({
    ("set", "decade"): ("Move it to the {decade}", "Make it a {decade} film", "Let it be from the {decade}"),
    ("set", "tone"): ("Make the tone {tone}", "Give it a {tone} tone", "Tell it in a {tone} way"),
    ("set", "setting"): ("Set it {setting}", "Let it take place {setting}", "Move the action so that it unfolds {setting}"),
    ("set", "protagonist"): ("Make the hero a {protagonist}", "Tell it about a {protagonist}", "Put a {protagonist} at its centre"),
    ("set", "trait"): ("Make the hero {trait}", "Give us a {trait} hero", "Let the hero be {trait}"),
    ("set", "goal"): ("The hero must {goal}", "Make it about having to {goal}", "Let the hero try to {goal}"),
    ("set", "antagonist"): ("Make the enemy {antagonist}", "Bring in {antagonist} as the threat", "Let the danger be {antagonist}"),
    ("set", "ending"): ("Let it end {ending}", "Change the ending so that it closes {ending}", "Finish it {ending}"),
    ("add", "genres"): ("Blend in {genres}", "Mix it with {genres}", "Make it a {genres} film as well"),
    ("add", "themes"): ("Explore {themes}", "Make it deal with {themes}", "Bring out the theme of {themes}"),
    ("add", "motifs"): ("Add {motifs}", "Work in {motifs}", "Find room for {motifs}"),
    ("add", "styles"): ("Make it more {styles}", "Give it a {styles} style", "Let it feel {styles}"),
    ("remove", "genres"): ("Take {genres} out of the mix", "Make it less of a {genres} film"),
    ("remove", "themes"): ("Drop the theme of {themes}", "Do not dwell on {themes}"),
    ("remove", "motifs"): ("Leave out {motifs}", "Get rid of {motifs}"),
    ("remove", "styles"): ("Make it less {styles}", "It should not be {styles}"),
    ("remove", "decade"): ("Leave the decade open", "Do not say when it was made"),
    ("remove", "tone"): ("Leave the tone neutral", "Drop the tone"),
    ("remove", "setting"): ("Leave the place open", "Drop the setting"),
    ("remove", "protagonist"): ("Leave the hero open", "Do not say who the hero is"),
    ("remove", "trait"): ("Make the hero ordinary", "Say nothing of what the hero is like"),
    ("remove", "goal"): ("Leave the goal open", "Give the hero nothing to do"),
    ("remove", "antagonist"): ("Remove the enemy", "Do it without a threat"),
    ("remove", "ending"): ("Leave the ending open", "Do not give away the ending"),
    ("replace", "genres"): ("Replace {old} with {genres}", "Turn the {old} into {genres}"),
    ("replace", "themes"): ("Swap the theme of {old} for {themes}", "Instead of {old} explore {themes}"),
    ("replace", "motifs"): ("Swap {old} for {motifs}", "Instead of {old} use {motifs}"),
    ("replace", "styles"): ("Make it {styles} rather than {old}", "Trade {old} for {styles}"),
    ("intensify", "tone"): ("Push the tone further", "Turn up the tone", "Go further in the same tone"),
})  # fmt: skip

# What each tone becomes when it is intensified; the last rung of a ladder is not in the table.
LADDER: Mapping[str, str] = MappingProxyType({
    "dark": "bleak", "brooding": "dark", "eerie": "terrifying", "gritty": "brutal", "tense": "breathless",
    "light-hearted": "hilarious", "playful": "riotous", "whimsical": "playful", "tender": "heart-rending",
    "hopeful": "tender", "melancholy": "heart-rending", "romantic": "tender", "ironic": "deadpan",
    "deadpan": "ironic",
})  # fmt: skip

# Vague directions: name, wordings, and the pairs, any one of which fulfils it ("slot: value, value; slot: ...").
DIRECTIONS = """
darker | Make it darker / Take it to a darker place / It needs more darkness | tone: dark, bleak, brooding, eerie, gritty; styles: disturbing, gothic
lighter | Make it lighter / Lighten it up / Take the weight off it | tone: light-hearted, playful, whimsical, hopeful; styles: funny, heartwarming
scarier | Make it scarier / Frighten us more / Give it more chills | tone: eerie, terrifying; styles: creepy, scary; genres: Horror; antagonist: a ghost, a demon, a monster
funnier | Make it funnier / Make us laugh / Put more jokes in | tone: hilarious, playful, riotous, light-hearted; styles: funny, witty, quirky, darkly comic; genres: Comedy
sadder | Make it sadder / Make us cry / Let it hurt more | tone: melancholy, heart-rending, bleak; styles: heartbreaking, poignant, bittersweet; ending: in tragedy, in sacrifice
warmer | Make it warmer / Give it more heart / Let it be kinder | tone: tender, hopeful; styles: heartwarming, touching; ending: happily, with a reunion, in forgiveness
stranger | Make it stranger / Make it weirder / Bend reality a little | styles: surreal, weird, dreamlike, hallucinatory, mind-bending; motifs: dreams and visions, parallel worlds
smarter | Make it smarter / Give us more to think about / Raise its intelligence | styles: thought-provoking, clever, intelligent, cerebral, philosophical; themes: existence, morality, truth
more exciting | Make it more exciting / Raise the pulse / Speed it up | tone: tense, breathless; styles: action-packed, suspenseful, intense; genres: Action, Thriller; motifs: car chases, explosions, a chase
more romantic | Make it more romantic / Let love in / Give it a love story | genres: Romance; tone: romantic, tender; themes: love, first love; goal: find true love, win back a lost love; motifs: a love triangle
for families | Make it work for families / Let children enjoy it / Make it suitable for the young | genres: Children, Animation; styles: fairy-tale, animated; motifs: talking animals, toys, dogs
for grown-ups | Make it more grown-up / Aim it at adults / Give it an adult edge | styles: sexy, crude, disturbing, darkly comic; themes: sexuality, adultery, addiction
far away | Take it somewhere far away / Move it to a distant land / Let it travel | setting: in India, in Africa, in Japan, in China, in Australia, in South America, in Russia, in the arctic
out of this world | Take it off the earth / Move it beyond our world / Leave the planet behind | setting: in deep space, on the moon, on a distant planet, in a virtual world, in a fantasy kingdom
to the big city | Move it to the big city / Give it city lights / Make it urban | setting: in New York, in Los Angeles, in Chicago, in London, in Paris, in Hong Kong
to the wild | Take it into the wild / Move it out into nature / Get it out of doors | setting: in the jungle, in the desert, in the mountains, in the woods, on an island, in the arctic
somewhere confined | Confine it / Lock it in / Make the place smaller | setting: on a submarine, on a train, on a plane, in a prison, in a hotel, in a haunted house, in a hospital
to school | Send it to school / Let it play among the young / Move it to where students are | setting: at a high school, at a college, at a boarding school; protagonist: student, teenager, teacher
back in time | Take it back in time / Make it a thing of the past / Make it older | decade: 1920s, 1930s, 1940s, 1950s; setting: in ancient times, in the Middle Ages; styles: retro, classic
up to date | Bring it up to date / Make it modern / Make it newer | decade: 2000s, 2010s, 2020s; motifs: computers, artificial intelligence; styles: futuristic
a stronger enemy | Give it a stronger enemy / Make the threat greater / Raise the danger | antagonist: a serial killer, a crime boss, a tyrant, aliens, terrorists, a monster, a rogue machine
a more human enemy | Give it a more human enemy / Make the conflict personal / Let the enemy be close | antagonist: a jealous husband, a strict father, a bitter ex, a scheming rival, a bully, a stalker
an unusual hero | Give it an unusual hero / Find a hero nobody expects / Change the hero for someone odd | protagonist: butler, waitress, android, orphan, widow, drifter, dancer, priest
a tougher hero | Give it a tougher hero / Make the hero harder / Let the hero fight | protagonist: soldier, boxer, hitman, bounty hunter, samurai, cowboy; trait: fearless, reckless, vengeful
a weaker hero | Make the hero more vulnerable / Give the hero a flaw / Give the hero a burden | trait: shy, lonely, disgraced, grieving, alcoholic, wounded, blind, clumsy
higher stakes | Raise the stakes / Put more at risk / Make it matter more | goal: save the world, stop a bomb, rescue a hostage, win a war, overthrow a tyrant, survive the night
smaller stakes | Lower the stakes / Make it more intimate / Tell a smaller story | goal: get home, start over, get married, find a lost father, make peace with the past, keep a secret; themes: family, friendship, memory
a surprise | End it with a surprise / Surprise us / Keep us guessing | ending: with a twist, on an open question; motifs: a twist, mistaken identity, a secret; styles: mind-bending
more magical | Add some wonder / Make it more magical / Give it a touch of fantasy | genres: Fantasy; motifs: magic, dragons, fairies, witches, a curse, a prophecy; protagonist: wizard
more scientific | Put more science in / Make it more scientific / Give it a scientific idea | genres: Sci-Fi; motifs: robots, time travel, space travel, genetic engineering, an experiment, artificial intelligence; protagonist: scientist
more musical | Let there be more music / Make it sing / Give it rhythm | genres: Musical; motifs: music, jazz, rock and roll, dance, opera, ballet; protagonist: musician, dancer
more sporting | Put some sport in / Make it more athletic / Give it a game to win | motifs: boxing, baseball, basketball, football, golf, the Olympics; protagonist: athlete, boxer; goal: win a championship
more criminal | Make it more criminal / Bring in the underworld / Break more laws | genres: Crime; motifs: a heist, a murder, the Mafia, blackmail; protagonist: thief, gangster; antagonist: a crime boss
more warlike | Bring war into it / Make it more warlike / Put it under fire | genres: War; motifs: World War II, military life, the Vietnam War, prisoners of war; protagonist: soldier; antagonist: an enemy army
more political | Make it more political / Let it take a stand / Give it a conscience | themes: politics, class, racism, corruption, freedom, justice, equal rights; motifs: politics and power
more spiritual | Make it more spiritual / Ask about the soul / Look beyond the material | themes: religion, faith, destiny, redemption, existence; motifs: religion and ritual; protagonist: priest
with animals | Let animals in / Give it fur and feathers / Put creatures in it | motifs: dogs, cats, horses, birds, bears, monkeys, talking animals
more beautiful | Make it better to look at / Give it a finer look / Let it be art | styles: visually stunning, beautiful, stylized, artistic, atmospheric
more true | Make it truer to life / Make it more real / Ground it | styles: true to life, biographical, documentary-like; genres: Documentary, Drama; tone: gritty
more mysterious | Make it more mysterious / Hide more from us / Add a riddle | genres: Mystery, Film-Noir; motifs: an unsolved riddle, a secret, a murder; styles: suspenseful, neo-noir; protagonist: detective
"""
