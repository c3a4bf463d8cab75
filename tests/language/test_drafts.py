"""Guesses of how a text goes on."""

from eagle_gym.language.drafts import FOLLOWED, Draft, NGrams


def test_drafts_follow_the_longest_match():
    draft = Draft([5, 6, 7, 8, 9, 5, 6, 10, 11, 12])
    assert draft.after([4], 8) == []
    assert draft.after([], 8) == []
    assert draft.after([5], 8) == [6]  # one token in common: one is guessed
    assert draft.after([8, 5], 8) == [6]  # the first place, not the one behind 9
    assert draft.after([9, 5], 8) == [6, 10]
    assert draft.after([9, 5, 6], 8) == [10, 11, 12]
    assert draft.after([8, 9, 5, 6], 2) == [10, 11]
    assert draft.after([12], 8) == []  # nothing follows


def test_of_equal_matches_the_next_one_counts():
    draft = Draft([5, 6, 5, 7, 5, 8])
    assert draft.after([5], 1) == [6]
    assert draft.after([6, 5], 1) == [7]
    assert draft.after([9, 5], 1) == [7]  # not back to the start
    assert draft.after([7, 5], 1) == [8]


def test_what_texts_have_in_common_is_guessed_where_the_source_says_nothing():
    common = NGrams([[1, 2, 3, 4], [1, 2, 3, 5], [9, 2, 7], [1, 2, 3, 4, 6]])
    assert common.after([1, 2], 8) == [3, 4, 6]  # two in common before one; after 2 by itself, 3 follows too
    assert common.after([9, 2], 8) == [7]
    assert common.after([8, 2], 1) == [3]  # by the last token only
    assert common.after([2], 2) == [3, 4]
    assert common.after([6], 8) == common.after([], 8) == common.after([1, 2], 0) == []
    assert Draft([7, 1, 2, 8], common).after([7, 1, 2], 8) == [8]
    assert Draft([7, 8], common).after([1, 2], 2) == [3, 4]
    assert Draft([], common).after([1, 2], 2) == []


def test_guesses_need_a_majority_of_different_texts():
    texts = [[1, 2], [1, 3], [1, 4]]
    assert NGrams(texts).after([1], 8) == []
    assert NGrams([*texts, [5, 1, 4], [6, 1, 4], [7, 1, 4]]).after([1], 8) == [4]
    assert NGrams([[1, 4]] * 9).after([1], 8) == []  # one text, which says nothing of others
    assert NGrams([*texts, *[[1, 4]] * 9]).after([1], 8) == []
    assert NGrams([[1, 4], []]).after([1], 8) == []
    assert NGrams([[1, 1, 1], [2, 1, 1]]).after([1], 99) == [1] * FOLLOWED  # a circle ends


def test_a_tie_goes_to_the_text_before():
    assert NGrams([[1, 2], [1, 3]]).after([1], 1) == [2]
    assert NGrams([[1, 3], [1, 2]]).after([1], 1) == [3]
