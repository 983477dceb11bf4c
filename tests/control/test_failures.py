from gatepost.control import failures


def test_a_request_error_has_a_name_words_and_a_status():
    error = failures.RequestError("AnyException", "words")
    assert (error.name, str(error), error.status) == ("AnyException", "words", 400)


def test_each_says_what_to_do_or_what_was_wrong():
    assert failures.store_unavailable().status == 503
    assert failures.internal().status == 500
    assert failures.too_large(1024).status == 413
    assert failures.too_slow(20).status == 408
    assert failures.unknown_operation().status == failures.serialization("words").status == 400
