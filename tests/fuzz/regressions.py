"""Inputs that once broke a promise: target, input, and what was wrong. Each is tried again by test_targets.py."""

REGRESSIONS: tuple[tuple[str, bytes, str], ...] = (
    ("aws-json", b'\n{"a": 1e536, "b": {"c": [{}]}}', "a number too large for a float was read as infinity"),
    ("aws-json", b'\n{"a": ' + b"[" * 400 + b"]" * 400 + b"}", "read, but too deep to be written"),
    ("sigv4-header", b"\n00160229T235959Z", "a year before 1000 was read, and written without its zeros"),
    (
        "sigv4-query",
        (
            b"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=E%2F%0A%2F1%2Fl%2Ft&X-Amz-Date=20150830T123600Z"
            b"&X-Amz-Expires=9&X-Amz-SignedHeaders=t&X-Amz-Signature=c"
        ),
        "a line's end in the credential made a line more of what is signed",
    ),
)
