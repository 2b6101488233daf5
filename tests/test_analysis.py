"""Text analysis: what counts as a word, which words are one, and where a word's bits and counters lie."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoto import ModelException
from popoto.analysis import Analyzer, analyzer, bloom_positions, bloom_shape, english, simple, sketch_columns
from popoto.analysis.irregular import LEMMAS
from popoto.analysis.stop_words import STOP_WORDS

SIMPLE, ENGLISH = analyzer("simple"), analyzer("english")
# Letters, marks and signs that fold, compose or vanish, among plain text.
MARKS = "aes'_ \u2019\u0301\u0345\u3099\ufe70かがéﬁ\u03b1\u1fb3学"
TEXTS = st.text(st.one_of(st.characters(), st.sampled_from(MARKS)))


def content_words(text: str) -> list[str]:
    """A callable that drops short words, as an application's may."""
    return [word.rstrip("s") for word in text.lower().split() if len(word) > 3]


OWN = analyzer(content_words)

# Stored filters and sketches hold these numbers: a change here loses data.
BLOOM_GOLDEN = {
    "kubernetes": [5728, 5581, 5435, 5291, 5150, 124],
    "café": [4492, 2523, 5444, 3478, 6404, 4445],
    "机": [4020361619, 2322915722, 625469825],
}
SKETCH_GOLDEN = {
    "kubernetes": [1819, 664, 1374, 117, 1832, 1411, 714],
    "café": [1898, 496, 308, 1714, 1665, 131, 192],
    "机": [28411, 17386, 35854, 7512, 11198, 42628, 7969, 1235, 6479, 10814],
}


# Choosing


def test_an_analyser_is_chosen_by_name_by_callable_or_as_itself():
    assert [analyzer(chosen).name for chosen in ("simple", "english", SIMPLE)] == ["simple", "english", "simple"]
    assert OWN.name == f"{__name__}.content_words"
    assert analyzer(str.split).name == "builtins.str.split"
    assert analyzer(partial(re.findall, r"\w+")).name == "functools.partial"


def test_parameters_of_bm25_follow_the_analyser():
    assert [(one.k1, one.b) for one in (SIMPLE, ENGLISH, OWN)] == [(1.2, 0.75), (0.9, 0.4), (1.2, 0.75)]


def test_an_analyser_is_immutable():
    with pytest.raises(AttributeError):
        SIMPLE.k1 = 2.0  # type: ignore[misc]


@pytest.mark.parametrize("wrong", ["German", "", None, 1, ["simple"]])
def test_an_unknown_analyser_is_refused_with_the_choices(wrong):
    with pytest.raises(ModelException, match=r"use 'simple', 'english' or a callable"):
        analyzer(wrong)


@pytest.mark.parametrize("given_back", ["one string", 7, None, ["fine", 7]])
def test_a_callable_must_give_words(given_back):
    with pytest.raises(ModelException, match="return a list of str"):
        analyzer(lambda text: given_back).terms("any")


# simple


def test_simple_terms_are_those_of_1x():
    golden = {
        "The Kubernetes-deployment guide": ["kubernetes", "deployment", "guide"],
        ", for AI on k8s; foo_bar v1.2": ["k8s", "foo_bar"],
        "机器学习 机器": ["机器学习"],
        "cafe\u0301": ["cafe"],
        "café": ["café"],
        "don't": ["don"],
        "3.14 100": ["100"],
        "cache cache": ["cache", "cache"],
        "": [],
    }
    assert {text: SIMPLE.terms(text) for text in golden} == golden
    assert len(simple.STOP_WORDS) == 52


def test_simple_words_keep_what_ranking_drops():
    assert SIMPLE.words("AI research in Go, the AI!") == ["ai", "research", "in", "go", "the"]
    assert SIMPLE.words("cafe\u0301") == SIMPLE.words("CAFÉ") == ["café"]
    assert SIMPLE.words("\u1fb3") == SIMPLE.words("\u03b1\u0345")  # case folding takes the composed letter apart
    assert SIMPLE.words("\uff26\uff35\uff2c\uff2c ﬁne Straße") == ["full", "fine", "strasse"]


# english


def test_english_terms_drop_function_and_question_words():
    assert ENGLISH.terms("When did Caroline go to the support group?") == ["carolin", "go", "support", "group"]
    assert ENGLISH.terms("How many times does who do what, where and why?") == ["time"]
    assert ENGLISH.terms("It's what I don't, can't, won't: we'll, they've, you're, I'd") == []
    assert ENGLISH.terms("in May") == ["may"]


def test_english_words_drop_nothing():
    assert ENGLISH.words("who are you?") == ["who", "be", "you"]
    assert ENGLISH.words("AI, a.i.") == ["ai", "a", "i"]


@pytest.mark.parametrize(
    ("forms", "stem"),
    [
        ("go goes going went gone", "go"),
        ("buy buys buying bought", "buy"),
        ("eat eats eating ate eaten", "eat"),
        ("meet meets meeting met", "meet"),
        ("teach teaches teaching taught", "teach"),
        ("write writes writing wrote written", "write"),
        ("child children children's children\u2019s", "child"),
        ("be is was were been being am are", "be"),
        ("do does did doing done", "do"),
        ("have has had having", "have"),
        ("woman women women's", "woman"),
        ("connect connected connecting connection connections", "connect"),
        ("café cafe cafe\u0301 CAFÉ cafés café\u2019s", "cafe"),
        ("Łódź łódź LODZ", "lodz"),
        ("Straße STRASSE strasse", "strass"),
    ],
)
def test_forms_of_one_word_have_one_stem(forms, stem):
    assert {form: ENGLISH.words(form) for form in forms.split()} == {form: [stem] for form in forms.split()}


def test_every_irregular_form_has_the_stem_of_its_word():
    assert [form for form, lemma in LEMMAS.items() if ENGLISH.words(form) != ENGLISH.words(lemma)] == []
    assert len(LEMMAS) > 250
    assert [lemma for lemma in LEMMAS.values() if lemma in LEMMAS] == []  # no chain


def test_contractions_are_spelt_out():
    assert ENGLISH.words("didn't can\u2019t won't shan't ain't") == ["do", "not", "can", "will", "shall", "be"]
    assert ENGLISH.words("couldn't've") == ["could", "not", "have"]
    assert ENGLISH.words("she'll the dogs' rock'n'roll O'Brien's 's 'tis n't") == (
        ["she", "will", "the", "dog", "rock", "n", "roll", "o", "brien", "s", "tis", "t"]
    )


def test_numbers_identifiers_and_signs_stay_what_they_are():
    assert ENGLISH.terms("foo_bars k8s v1.2 3.14 C++ _really_ __init__ _") == (
        ["foo_bars", "k8s", "v1", "2", "3", "14", "c", "realli", "init", "_"]
    )
    assert ENGLISH.terms("Acme™ 20℃ 👍🏽 1️⃣ x²") == ENGLISH.terms("Acme 20 1 x2")
    assert [one.words("👍 ... ™") for one in (SIMPLE, ENGLISH)] == [[], []]


def test_scripts_without_spaces_are_found_in_their_parts():
    assert ENGLISH.terms("机器学习 ABC公司") == ["机器", "器学", "学习", "abc", "公司"]
    assert ENGLISH.terms("学") == ["学"]
    assert set(ENGLISH.words("机器")) <= set(ENGLISH.words("我爱机器学习"))
    assert ENGLISH.words("がく") == ENGLISH.words("か\u3099く") != ENGLISH.words("かく")
    assert ENGLISH.words("한국어") == ENGLISH.words(normalize("NFD", "한국어")) == ["한국어"]


def test_a_word_longer_than_any_of_a_dictionary_is_not_stemmed():
    assert ENGLISH.terms("walking" * 10) == ["walking" * 10]


def test_stop_words_are_folded_as_the_words_of_a_text_are():
    assert [word for word in STOP_WORDS if ENGLISH.terms(word)] == []


def test_threads_stem_alike(monkeypatch):
    texts = [f"generationally {letter}walking connections relational" for letter in "abcdefgh"] * 20
    expected = [ENGLISH.terms(text) for text in texts]
    monkeypatch.setattr(english, "_stem", english._stem.__wrapped__)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(ENGLISH.terms, texts))
    finally:
        sys.setswitchinterval(interval)
    assert found == expected


def test_the_stemmer_is_loaded_by_the_first_word_and_not_by_the_import():
    program = """
import sys
from popoto.analysis import analyzer
one = analyzer("english")
before = "snowballstemmer" in sys.modules
one.terms("12")
between = "snowballstemmer" in sys.modules
one.terms("word")
print(before, between, "snowballstemmer" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=500)
    assert done.stdout.split() == ["False", "False", "True"]


def test_a_missing_stemmer_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "snowballstemmer", None)
    monkeypatch.setattr(english, "_kept", english._Kept())
    with pytest.raises(ModelException, match=r"pip install 'popoto\[text\]'"):
        ENGLISH.terms("unheard")
    assert SIMPLE.terms("unheard") == ["unheard"]


# Every analyser


def test_a_callable_loses_no_word_to_membership():
    assert OWN.terms("AI models in Go") == ["model"]
    assert OWN.words("AI models in Go") == ["model", "ai", "in", "go"]
    assert OWN.words("models") == ["model"]
    assert OWN.words("AI") == ["ai"]
    assert OWN.words("Go ﬃﬁ") == ["go", "ffifi"]  # folded it is long enough for the callable, as it stands it isn't


@pytest.mark.parametrize("one", [SIMPLE, ENGLISH, OWN], ids=repr)
def test_no_letter_of_unicode_is_without_a_word(one: Analyzer):
    letters = [chr(code) for code in range(0x3400) if chr(code).isalnum()]
    letters += [chr(code) for code in (*range(0xF900, 0x10000), *range(0x1D400, 0x1F200)) if chr(code).isalnum()]
    assert [letter for letter in letters if not one.words(letter)] == []


@pytest.mark.parametrize("one", [SIMPLE, ENGLISH, OWN], ids=repr)
@given(text=TEXTS)
def test_a_text_with_a_letter_has_words_and_each_once(one: Analyzer, text: str):
    words = one.words(text)
    assert words or not re.search(r"\w", text)
    assert (len(words), "" in words) == (len(set(words)), False)


@pytest.mark.parametrize("one", [SIMPLE, ENGLISH], ids=repr)
@given(text=TEXTS)
def test_composed_and_decomposed_texts_have_the_same_words(one: Analyzer, text: str):
    composed, decomposed = normalize("NFC", text), normalize("NFD", text)
    assert one.words(composed) == one.words(decomposed) == one.words(text)


@given(text=TEXTS)
def test_composed_and_decomposed_texts_have_the_same_english_terms(text: str):
    assert ENGLISH.terms(normalize("NFC", text)) == ENGLISH.terms(normalize("NFD", text))


@pytest.mark.parametrize("one", [SIMPLE, ENGLISH, OWN], ids=repr)
@given(text=TEXTS)
def test_the_words_of_a_part_are_words_of_the_text(one: Analyzer, text: str):
    parts = [word for part in text.split() for word in one.words(part)]
    assert set(parts) <= set(one.words(text))


# Bloom filters


def test_shapes_of_filters_are_those_of_1x():
    shapes = [bloom_shape(1000, 0.01), bloom_shape(100_000, 0.01), bloom_shape(1000, 0.001), bloom_shape(10, 0.5)]
    assert shapes == [(9585, 6), (958505, 6), (14377, 9), (14, 1)]
    assert bloom_shape(1, 0.5) == (8, 5)  # of the single bit of 1.x the first word would leave nothing


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True, "10", None, 448_095_616, 10**400])
def test_a_capacity_out_of_range_is_refused(capacity):
    with pytest.raises(ModelException, match=r"^capacity=.*at (least|most) \d+"):
        bloom_shape(capacity, 0.01)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 2.0, float("nan"), 1, "0.01", None])
def test_an_error_rate_out_of_range_is_refused(rate):
    with pytest.raises(ModelException, match=r"^error_rate=.*between 0 and 1"):
        bloom_shape(100, rate)


@given(st.integers(1, 10**12), st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_a_shape_fits_into_a_string_of_the_server_or_is_refused(capacity: int, rate: float):
    try:
        bits, hashes = bloom_shape(capacity, rate)
    except ModelException as error:
        assert "2^32" in str(error)
    else:
        assert (8 <= bits < 2**32, hashes >= 1) == (True, True)


def test_the_greatest_capacity_that_is_named_is_accepted():
    with pytest.raises(ModelException) as refused:
        bloom_shape(10**12, 0.01)
    most = int(re.findall(r"at most (\d+)", str(refused.value))[0])
    assert 2**32 - 12 < bloom_shape(most, 0.01)[0] < 2**32


def test_positions_of_words_never_change():
    assert bloom_positions("kubernetes", 9585, 6) == BLOOM_GOLDEN["kubernetes"]
    assert bloom_positions("café", 9585, 6) == BLOOM_GOLDEN["café"]
    assert bloom_positions("机", 2**32 - 1, 3) == BLOOM_GOLDEN["机"]


@given(st.text(st.characters()), st.integers(1, 2**32 - 1), st.integers(1, 60))
def test_positions_lie_in_the_filter_and_are_the_same_each_time(word: str, bits: int, hashes: int):
    positions = bloom_positions(word, bits, hashes)
    assert (len(positions), min(positions) >= 0, max(positions) < bits) == (hashes, True, True)
    assert positions == bloom_positions(word, bits, hashes)


def sequential(number: int) -> str:
    return f"transaction_{number:08d}"


def scattered(number: int) -> str:
    return f"{pow(number + 2, 65_537, 2**128 - 159):032x}"


def filled(capacity: int, rate: float, named) -> set[int]:
    shape = bloom_shape(capacity, rate)
    return {position for number in range(capacity) for position in bloom_positions(named(number), *shape)}


@pytest.mark.parametrize("named", [sequential, scattered])
def test_a_full_filter_keeps_its_error_rate_and_misses_nothing(named):
    shape, bits = bloom_shape(10_000, 0.01), filled(10_000, 0.01, named)
    found = [bits.issuperset(bloom_positions(named(number), *shape)) for number in range(110_000)]
    assert found[:10_000].count(False) == 0
    assert found[10_000:].count(True) <= 1500


def test_small_filters_keep_their_error_rate():
    def errors(capacity: int, rate: float) -> float:
        shape, wrong = bloom_shape(capacity, rate), 0
        for turn in range(20):
            bits = filled(capacity, rate, lambda number, turn=turn: f"{turn}:{number}")
            wrong += sum(bits.issuperset(bloom_positions(f"{turn}:{n}", *shape)) for n in range(10_000, 12_000))
        return wrong / 40_000

    cases = [(10, 0.01), (100, 0.01), (20, 0.001), (100, 0.001)]
    assert [case for case in cases if errors(*case) > 1.5 * case[1]] == []


# Sketches


def test_columns_of_words_never_change():
    assert sketch_columns("kubernetes", 2000, 7) == SKETCH_GOLDEN["kubernetes"]
    assert sketch_columns("café", 2000, 7) == SKETCH_GOLDEN["café"]
    assert sketch_columns("机", 50_000, 10) == SKETCH_GOLDEN["机"]


@given(st.text(st.characters()), st.integers(1, 10**9), st.integers(1, 40))
def test_columns_are_one_for_each_row_whatever_the_depth(word: str, width: int, depth: int):
    columns = sketch_columns(word, width, depth)
    assert (len(columns), min(columns) >= 0, max(columns) < width) == (depth, True, True)
    assert columns == sketch_columns(word, width, depth + 9)[:depth]


def test_rows_of_a_sketch_collide_independently():
    held = {(row, column) for n in range(1000) for row, column in enumerate(sketch_columns(f"word{n}", 2000, 7))}
    unseen = [sketch_columns(f"other{n}", 2000, 7) for n in range(20_000)]
    counted = sum(held.issuperset(enumerate(columns)) for columns in unseen)
    assert counted < 200  # 1 %; independent rows: (1 - e^-.5)^7 = .15 %
