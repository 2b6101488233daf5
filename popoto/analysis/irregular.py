"""Verbs and nouns of English whose forms no stemmer brings together: each line is a word, then its other forms.

A form with a commoner life of its own is left out: rose, bore, ground, wound, bound, lay, lives, leaves, bases, media.
"""

from __future__ import annotations

from typing import Final

_TABLE: Final = """
be am are is was were been being
have has had
do does did done
arise arose arisen
awake awoke awoken
beat beaten
become became
begin began begun
bend bent
bite bitten
bleed bled
blow blew blown
break broke broken
breed bred
bring brought
build built
burn burnt
buy bought
catch caught
choose chose chosen
cling clung
come came
creep crept
deal dealt
dig dug
draw drew drawn
dream dreamt
drink drank drunk
drive drove driven
eat ate eaten
fall fell fallen
feed fed
feel felt
fight fought
find found
flee fled
fling flung
fly flew flown
forbid forbade forbidden
foresee foresaw foreseen
forget forgot forgotten
forgive forgave forgiven
freeze froze frozen
get got gotten
give gave given
go goes went gone
grow grew grown
hang hung
hear heard
hide hid hidden
hold held
keep kept
kneel knelt
know knew known
lead led
leap leapt
learn learnt
leave left
lend lent
light lit
lose lost
make made
mean meant
meet met
mislead misled
mistake mistook mistaken
misunderstand misunderstood
outgrow outgrew outgrown
overcome overcame
overhear overheard
oversee oversaw overseen
oversleep overslept
overtake overtook overtaken
pay paid
prove proven
rebuild rebuilt
redo redoes redid redone
repay repaid
rewrite rewrote rewritten
ride rode ridden
ring rang rung
rise risen
run ran
say said
see saw seen
seek sought
sell sold
send sent
sew sewn
shake shook shaken
shine shone
shoot shot
show shown
shrink shrank shrunk
sing sang sung
sink sank sunk
sit sat
sleep slept
slide slid
smell smelt
sneak snuck
speak spoke spoken
speed sped
spell spelt
spend spent
spill spilt
spin spun
spit spat
spoil spoilt
spring sprang sprung
stand stood
steal stole stolen
stick stuck
sting stung
strike struck stricken
strive strove striven
swear swore sworn
sweep swept
swell swollen
swim swam swum
swing swung
take took taken
teach taught
tear tore torn
tell told
think thought
throw threw thrown
undergo undergoes underwent undergone
understand understood
undertake undertook undertaken
undo undoes undid undone
uphold upheld
wake woke woken
wear wore worn
weave wove woven
weep wept
win won
withdraw withdrew withdrawn
write wrote written
alumnus alumni
analysis analyses
appendix appendices
bacterium bacteria
bus buses
businessman businessmen
businesswoman businesswomen
cactus cacti
calf calves
child children
crisis crises
criterion criteria
curriculum curricula
diagnosis diagnoses
elf elves
fireman firemen
foot feet
fungus fungi
gas gases
gentleman gentlemen
goose geese
grandchild grandchildren
half halves
hoof hooves
hypothesis hypotheses
index indices
knife knives
loaf loaves
louse lice
man men
matrix matrices
mouse mice
oasis oases
ox oxen
person people
phenomenon phenomena
policeman policemen
quiz quizzes
radius radii
scarf scarves
self selves
shelf shelves
stimulus stimuli
syllabus syllabi
thesis theses
thief thieves
tooth teeth
vertex vertices
wife wives
wolf wolves
woman women
"""

# Form -> the word that is stemmed in its place.
LEMMAS: Final = {form: lemma for lemma, *forms in map(str.split, _TABLE.strip().splitlines()) for form in forms}
