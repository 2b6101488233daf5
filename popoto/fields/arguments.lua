-- Arguments of which there are several: lists of words, and words by name.
-- A prelude.
--
-- take_list()    words: their number, and the words
-- take_pairs()   words by name: their number, and of each the name and the word
-- include: popoto.fields words.lua
local function take_list()
  local words = {}
  for number = 1, tonumber(take()) do
    words[number] = take()
  end
  return words
end

local function take_pairs()
  local last, words = at + 1 + 2 * ARGV[at + 1], {}
  for place = at + 2, last, 2 do
    words[ARGV[place]] = ARGV[place + 1]
  end
  at = last
  return words
end
