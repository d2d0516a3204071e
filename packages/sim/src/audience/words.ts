/** The words of the generated titles and names. Lists only; `titles.ts` puts them together. */

/** What titles about one topic are made of. */
export interface TopicWords {
  readonly topic: string
  /** Things that one can show or make. */
  readonly things: readonly string[]
  /** Subjects that one can study. */
  readonly subjects: readonly string[]
  /** Qualities, in lower case. */
  readonly qualities: readonly string[]
}

const words = (topic: string, things: string, subjects: string, qualities: string): TopicWords => ({
  topic,
  things: things.split(', '),
  subjects: subjects.split(', '),
  qualities: qualities.split(', '),
})

/** Topics in order of their popularity among people. */
export const TOPICS: readonly TopicWords[] = [
  words(
    'cooking',
    'ramen bowl, focaccia loaf, dumpling, shakshuka pan, pickle jar, risotto, flatbread, mole sauce, tofu skewer, pancake, gnocchi tray, kimchi jar',
    'knife skills, sauces, bread baking, fermentation, Thai home cooking, pastry',
    'crispy, slow-cooked, one-pan, weeknight, smoky, five-minute',
  ),
  words(
    'music',
    'bass line, chord progression, drum fill, lo-fi beat, vocal harmony, guitar riff, synth pad, piano intro, fingerpicking pattern, violin scale',
    'music theory, ear training, songwriting, mixing, jazz piano, sight reading',
    'funky, haunting, minimal, four-chord, late-night, syncopated',
  ),
  words(
    'fitness',
    'plank, kettlebell swing, pull-up, warm-up, squat, stretch, core circuit, interval run, hip opener, push-up ladder',
    'strength training, mobility, running form, bodyweight training, recovery, sports nutrition',
    'ten-minute, low-impact, no-equipment, beginner-friendly, tough, morning',
  ),
  words(
    'travel',
    'night train, market in Oaxaca, island ferry, mountain hut, old town, packing list, street in Lisbon, desert camp, harbour at dawn, border crossing',
    'travel planning, slow travel, solo travel, travel photography, rail journeys, budgeting abroad',
    'hidden, cheap, rainy, unforgettable, off-season, two-day',
  ),
  words(
    'programming',
    'type error, race condition, command line tool, regular expression, memory leak, pull request, side project, cache bug, parser, test suite',
    'TypeScript, databases, algorithms, distributed systems, Rust, testing',
    'elegant, tiny, overengineered, production, weekend, subtle',
  ),
  words(
    'film',
    'opening shot, long take, heist scene, plot twist, documentary, title sequence, villain, final act, dolly zoom, soundtrack',
    'screenwriting, film editing, cinematography, film history, directing actors, sound design',
    'underrated, silent, unsettling, low-budget, classic, wordless',
  ),
  words(
    'photography',
    'portrait, long exposure, street corner, film camera, window light, macro shot, night sky, contact sheet, lens flare, silhouette',
    'composition, portrait lighting, film photography, colour grading, street photography, printing',
    'moody, golden-hour, accidental, grainy, backlit, quiet',
  ),
  words(
    'science',
    'black hole, slime mould, superconductor, tide pool, vaccine, earthquake, crystal, gene edit, comet, particle track',
    'statistics, astronomy, organic chemistry, neuroscience, climate science, evolution',
    'strange, invisible, record-breaking, misunderstood, ancient, glowing',
  ),
  words(
    'gardening',
    'tomato seedling, compost heap, raised bed, rose cutting, window box, pruning cut, wildflower patch, greenhouse, bean trellis, bonsai',
    'vegetable gardening, soil, pruning, permaculture, houseplants, seed saving',
    'shade-loving, tiny, neglected, thriving, balcony, frost-proof',
  ),
  words(
    'football',
    'free kick, offside trap, counter-attack, penalty save, midfield press, first touch, overhead kick, away goal, youth academy, throw-in routine',
    'football tactics, goalkeeping, coaching youth, match analysis, set pieces, refereeing',
    'last-minute, impossible, tactical, forgotten, left-footed, deflected',
  ),
  words(
    'design',
    'logo, grid system, onboarding screen, poster, icon set, colour palette, wordmark, packaging, form field, wayfinding sign',
    'typography, interaction design, colour theory, design systems, user research, motion design',
    'bold, accessible, brutalist, timeless, playful, two-colour',
  ),
  words(
    'history',
    'Roman road, lost library, spice route, siege, coronation, shipwreck, forged letter, printing press, city wall, peace treaty',
    'medieval Europe, the Silk Road, oral history, the ancient world, economic history, archives',
    'forgotten, disastrous, accidental, thousand-year-old, secret, small',
  ),
  words(
    'finance',
    'index fund, mortgage, budget, balance sheet, tax return, pension, rainy-day fund, interest rate, invoice, stock split',
    'personal finance, investing, accounting, valuation, behavioural economics, small-business finance',
    'boring, expensive, overlooked, first, honest, long-term',
  ),
  words(
    'language',
    'false friend, tongue twister, verb ending, dialect, proverb, loanword, polite refusal, greeting, alphabet, idiom',
    'Spanish, Japanese, pronunciation, grammar, translation, sign language',
    'untranslatable, everyday, rude, confusing, beautiful, regional',
  ),
  words(
    'woodworking',
    'dovetail joint, workbench, spoon, chisel, bookshelf, hand plane, stool, tool wall, oak table, sanding jig',
    'joinery, wood turning, hand tools, furniture making, finishing, carving',
    'sturdy, hand-cut, scrap-wood, wobbly, no-glue, two-hour',
  ),
  words(
    'games',
    'speedrun, boss fight, chess endgame, board game, level design, opening gambit, puzzle room, dice roll, co-op night, pixel village',
    'chess, game design, level design, storytelling in games, game theory, tabletop role play',
    'cosy, brutal, perfect, one-button, retro, two-player',
  ),
  words(
    'nature',
    'owl at dusk, tidal marsh, bee hive, wolf track, mushroom walk, river otter, spring migration, forest floor, tide, moss wall',
    'bird identification, ecology, foraging, marine biology, tracking, rewilding',
    'rare, sleepy, wet, close-up, noisy, misty',
  ),
  words(
    'crafts',
    'knitted sock, clay bowl, linocut, paper crane, quilt, leather wallet, embroidery hoop, candle, dye pot, woven basket',
    'knitting, ceramics, printmaking, sewing, bookbinding, weaving',
    'cosy, lopsided, patched, first, pocket-sized, colourful',
  ),
  words(
    'wellbeing',
    'breathing exercise, evening routine, journal page, short meditation, digital sabbath, nap, walk, cold shower, screen break, gratitude list',
    'meditation, sleep, habits, stress, mindful movement, self-compassion',
    'gentle, honest, two-minute, quiet, unhurried, small',
  ),
  words(
    'space',
    'Moon landing, rover, rocket stage, solar sail, space walk, Saturn ring, launch window, telescope mirror, orbit, landing burn',
    'orbital mechanics, rocketry, planetary science, astrobiology, space history, observing the sky',
    'distant, dusty, record, daring, silent, improbable',
  ),
]

export const FIRST_NAMES: readonly string[] = (
  'Amara Anna Arjun Aylin Ben Camila Chen Chloe Dana Diego Elif Elena Emeka Eva Farah Felix Fatima ' +
  'Giulia Grace Hana Hugo Ines Ivan Jamal Jana Jonas Julia Kaito Karim Keiko Lars Leila Leo Lucia ' +
  'Mai Malik Maria Mateo Maya Mei Mina Nadia Naomi Nikhil Noah Nora Olga Omar Paula Pedro Priya ' +
  'Rafael Rosa Ruth Sam Sana Sofia Tariq Thomas Tomas Uma Vera Viktor Wei Yara Yuki Zoe Zuri'
).split(' ')

export const LAST_NAMES: readonly string[] = (
  'Adeyemi Ahmed Almeida Andersson Bauer Becker Bianchi Castillo Chowdhury Costa Demir Dubois ' +
  'Eriksen Fernandez Fischer Fontaine Garcia Gupta Haddad Hansen Ibrahim Ito Jansen Jimenez Kaya ' +
  'Khan Kim Kowalski Larsen Lee Li Lopez Mehta Meyer Moreau Mensah Nakamura Nguyen Novak Okafor ' +
  'Olsen Park Patel Pereira Petrov Popescu Ramos Rossi Sato Schmidt Silva Singh Smith Sousa Suzuki ' +
  'Takahashi Tanaka Torres Tran Vargas Virtanen Walker Wang Weber Wright Yamada Yilmaz Zhang'
).split(' ')

/** Where people live: ISO 3166 code, hours ahead of UTC, share of the people. */
export const COUNTRIES: readonly { code: string; hours: number; share: number }[] = [
  { code: 'DE', hours: 1, share: 0.2 },
  { code: 'GB', hours: 0, share: 0.15 },
  { code: 'FR', hours: 1, share: 0.12 },
  { code: 'US', hours: -5, share: 0.2 },
  { code: 'BR', hours: -3, share: 0.08 },
  { code: 'IN', hours: 5.5, share: 0.1 },
  { code: 'NG', hours: 1, share: 0.05 },
  { code: 'JP', hours: 9, share: 0.06 },
  { code: 'MX', hours: -6, share: 0.04 },
]
