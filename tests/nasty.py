"""Values that generators rarely make, and that readers of them get wrong."""

from __future__ import annotations

from typing import Any

TEXTS = (
    "", " ", "\0", "a\0b", "\n", "a\r\nX-Evil: 1", "\ufeff", "\u202e", "\ud800", "\U0010ffff", "ﬀ", "é" * 200,
    "x" * 70_000, "null", "true", "-0", "1e400", "NaN", "0x10", "٣", "1_000", "' OR 1=1 --", "../../etc/passwd",
    "%00", "%ff", "{{7*7}}", "0000-00-00", "9999-12-31T23:59:60Z", "10000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-02-30T00:00:00Z", "2024-01-01T00:00:00",
    "99999999999999999999.1", "-1", "1e5", "0.0000000000000000001", "9" * 20, "9" * 5_000, "A" * 64,
    "crypto:AAA-USD,,", "equity:", "\\", '"', "$ref",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    *TEXTS, None, True, False, 0, -1, -0.0, 1.5, 1e308, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1,
    10**30, 10**400, [], {}, [[]], [None], [{}], {"": ""}, {"$ref": "#"}, ["x"] * 600,
    {"a": {"b": {"c": [1, {"d": None}]}}}, [True], ["\0"],
)  # fmt: skip
BODIES = (
    b"", b" ", b"\0", b"null", b"true", b"0", b"[]", b'""', b"{", b"{}", b'{"a":}', b"{}{}", b"{} x",
    b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b'{"name": "\xff"}', b'{"name": "\xc0\xaf"}', b'{"name": "\xed\xa0\x80"}',
    b'{"name": "\\ud800"}', b'{"name": "\\udc00\\ud800"}', b'{"name": NaN}', b'{"name": Infinity}',
    b'{"name": 1e400}', b'{"name": -1e400}', b'{"name": ' + b"9" * 5_000 + b"}", b'{"name": -' + b"9" * 5_000 + b"}",
    b'{"name": 0.' + b"1" * 5_000 + b"}", b'{"name": 1E-5000}', b'{"name": 01}', b'{"name": "a", "name": "b"}',
    b'{"": 1}', b'{"name/~": 1}', b'{"\\u0000": 1}', b'{"name": [1e999, {"x": 1' + b"0" * 4_400 + b"}]}",
    b'{"x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", b'{"x": ' + b'{"y": ' * 10_000 + b"1" + b"}" * 10_001,
    b"[" * 100_000, b"{" + b",".join(b'"k%d": 1' % n for n in range(5_000)) + b"}", b"'{}'", b'{"name": "\n"}',
    b"// x\n{}", b"\x1f\x8b\x08\x00",
)  # fmt: skip
TYPES = (
    "", "text/plain", "application/json; charset=utf-16", "application/json;", "APPLICATION/JSON",
    "application/jsonx", "multipart/form-data", "application/json, text/plain", "\xff", "a" * 5_000,
)  # fmt: skip
SEGMENTS = (
    "%00", "%ff", "%c0%af", "%2e%2e", "%2F", "..", ".", "~", "%0d%0aX-Evil:1", "a" * 64, "a" * 65, "a" * 8_000,
    "%ed%a0%80", "'", "*", "%F0%9F%92%A9", "null", "-1", "0", "%20", "a%20b", ";", "a;b=c", "&", "x?y", "{id}",
    "ord_" + "0" * 26,
)  # fmt: skip
QUERIES = (
    "&", "=", "a", "&&&", "%", "%zz", "%00=%00", "limit", "limit=", "limit=0", "limit=501", "limit=abc", "limit=-0",
    "limit=1.0", "limit=1e2", "limit=+5", "limit=%205", "limit=99999999999999999999", "limit=" + "9" * 5_000,
    "limit=null", "limit=true", "limit=5&limit=5", "limit=5;order=asc", "order=ASC", "order=", "order=asc%00",
    "cursor=", "cursor=abc", "cursor=%00", "cursor=====", "cursor=" + "A" * 512, "cursor=" + "A" * 513,
    "cursor=bnVsbA==", "cursor=W10=", "cursor=WyJhIixbXV0=", "cursor=%F0%9F%92%A9", "start=0000-00-00",
    "start=9999-12-31T23:59:60Z", "start=10000-01-01T00:00:00Z", "start=0001-01-01T00:00:00%2B23:59",
    "start=9999-12-31T23:59:59-23:59", "end=0001-01-01T00:00:00Z", "end=9999-12-31T23:59:59.999999999Z", "start=0",
    "start=1e400", "as_of=0001-01-01T00:00:00Z", "as_of=9999-12-31T23:59:59Z", "start=null&end=null", "instruments=,",
    "instruments=%00", "instruments=", "instruments=crypto:AAA-USD&start=0001-01-01T00:00:00Z",
    "instruments=crypto:AAA-USD&end=9999-12-31T23:59:59Z", "instruments=crypto:AAA-USD&as_of=0001-01-01T00:00:00Z",
    "instruments=crypto:AAA-USD&adjustment=all", "portfolio=%00", "x" * 8_000,
    "instruments=" + "crypto:AAA-USD," * 400 + "crypto:AAA-USD",
    "instruments=crypto:AAA-USD&limit=10000&source=%F0%9F%92%A9", "\xff=\xff", "subject=%ed%a0%80", "actor=%ff",
    "status=%0d%0a", "type=" + "x" * 64, "%6cimit=5&limit=6", "a[]=1", "a[b]=1",
)  # fmt: skip
HEADERS = (
    {"if-match": "*"}, {"if-match": ""}, {"if-match": "W/"}, {"if-match": '"' * 5_000}, {"if-none-match": "*"},
    {"if-none-match": ","}, {"idempotency-key": ""}, {"idempotency-key": "a b"}, {"idempotency-key": "\xff"},
    {"idempotency-key": '"'}, {"idempotency-key": "x" * 256}, {"idempotency-key": "a\r\nb: c"},
    {"x-request-id": "a\r\nb: c"}, {"x-request-id": "x" * 5_000}, {"accept": ""}, {"accept": "*"}, {"accept": ";q=1"},
    {"accept": "*/*;q=nan"}, {"accept": "text/csv;q=1e400"}, {"accept": "application/json;q=inf"},
    {"accept": "\xff/*"}, {"accept": "," * 5_000}, {"origin": "null"}, {"origin": "\xff"}, {"origin": "http://[::1"},
    {"cookie": "=;=;\xff"}, {"user-agent": "\xff" * 2_000}, {"user-agent": "\0"}, {"authorization": "Bearer"},
    {"authorization": "Bearer \xff"}, {"authorization": "Basic Og=="}, {"authorization": ""},
    {"authorization": "Bearer tw_paper_" + "x" * 5_000}, {"x-forwarded-for": "\xff, ::1%eth0, 1.2.3.4.5"},
    {"content-length": "-1"}, {"content-length": "x"}, {"content-length": "9" * 5_000}, {"content-length": "\xb2"},
    {"tradewright-environment": "\xff"}, {"tradewright-organization": "\0"}, {"tradewright-csrf": "\xff"},
    {"tradewright-signature": "x"}, {"traceparent": "\xff"},
    {"tradewright-timestamp": "1e400", "tradewright-nonce": "\xff", "tradewright-signature": "\xff"},
    {"tradewright-timestamp": "9" * 5_000, "tradewright-nonce": "n" * 32, "tradewright-signature": "=" * 88},
    {"accept-encoding": "\xff"}, {"expect": "100-continue"}, {"transfer-encoding": "chunked"}, {"host": "\xff"},
    {"range": "bytes=0-"},
)  # fmt: skip
