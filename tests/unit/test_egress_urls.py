"""The URL rules as a table: rows B1-B46 of the reliability notes, as far as no connection is needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers import egress
from workers.egress import EgressRules, UrlRefused, check_url, redact, resolve_check
from workers.egress.rules import examine

PUBLIC = EgressRules()
HTTP_TOO = EgressRules(allow_http=True)
LOOPBACK = EgressRules(allow_cidrs=("127.0.0.0/8", "::1/128"))
OWN = EgressRules(own_hosts=frozenset({("Media.Example.com", 443), ("flower.example.com", 8443), ("10.1.2.3", 443)}))

LONG_LABEL = "a" * 64
LONG_HOST = ".".join(["a" * 62] * 4)  # 251 characters, plus ".de" = 254

# fmt: off
REFUSED = [
    # row   url                                        reason
    ("B1",  "http://127.0.0.1/",                       "ip_literal_refused"),
    ("B2",  "http://127.1/",                           "ip_literal_refused"),
    ("B3",  "http://2130706433/",                      "ip_literal_refused"),
    ("B4",  "http://0x7f000001/",                      "ip_literal_refused"),
    ("B5",  "http://0x7f.1/",                          "ip_literal_refused"),
    ("B6",  "http://0177.0.0.1/",                      "ip_literal_refused"),
    ("B7",  "http://017700000001/",                    "ip_literal_refused"),
    ("B8",  "http://127.000.000.001/",                 "ip_literal_refused"),
    ("B1.", "http://127.0.0.1./",                      "ip_literal_refused"),
    ("B1a", "https://93.184.216.34/",                  "ip_literal_refused"),
    ("B1b", "https://[2606:2800:220:1::1]/",           "ip_literal_refused"),
    ("B9",  "http://0/",                               "address_not_public"),
    ("B10", "http://0.0.0.0/",                         "address_not_public"),
    ("B11", "http://[::]/",                            "address_not_public"),
    ("B12", "http://[::1]/",                           "address_not_public"),
    ("B13", "http://[::ffff:127.0.0.1]/",              "address_not_public"),
    ("B14", "http://[::ffff:7f00:1]/",                 "address_not_public"),
    ("B22", "http://[::1%25lo]/",                      "malformed_host"),
    ("B22", "http://[fe80::1%25eth0]/",                "malformed_host"),
    ("B23", "http://[v1.127.0.0.1]/",                  "malformed_host"),
    ("B24", "http://[127.0.0.1]/",                     "malformed_host"),
    ("B24", "http://[]/",                              "malformed_host"),
    ("B24", "http://256.1.1.1/",                       "malformed_host"),
    ("B24", "http://1.2.3.4.5/",                       "malformed_host"),
    ("B24", "http://example.0x7f/",                    "malformed_host"),
    ("B27", "http://localhost/",                       "host_not_public"),
    ("B27", "https://LOCALHOST./",                     "host_not_public"),
    ("B27", "https://foo.localhost/",                  "host_not_public"),
    ("B28", "https://metadata.google.internal/",       "host_not_public"),
    ("B28", "https://metadata/",                       "host_not_public"),
    ("B28", "https://vault.internal/",                 "host_not_public"),
    ("B29", "https://printer.local/",                  "host_not_public"),
    ("B29", "https://nas.home.arpa/",                  "host_not_public"),
    ("B29", "https://redis:443/",                      "host_not_public"),
    ("B35", "http://example.com@127.0.0.1/",           "userinfo_refused"),
    ("B35", "https://user:pw@example.com/",            "userinfo_refused"),
    ("B35", "https://@example.com/",                   "userinfo_refused"),
    ("B37", "http://example.com#@127.0.0.1/",          "fragment_refused"),
    ("B37", "https://example.com/#",                   "fragment_refused"),
    ("B38", "http:127.0.0.1",                          "malformed_url"),
    ("B38", "http:/127.0.0.1/",                        "malformed_url"),
    ("B38", "http:///127.0.0.1/",                      "malformed_url"),
    ("B38", "//127.0.0.1/",                            "malformed_url"),
    ("B38", "",                                        "malformed_url"),
    ("B39", " https://example.com/",                   "malformed_url"),
    ("B39", "https://exam\tple.com/",                  "malformed_url"),
    ("B39", "https://example.com/\r\nHost: evil",      "malformed_url"),
    ("B39", "https://example.com/\0",                  "malformed_url"),
    ("B39", "https://example.com%00.evil.com/",        "malformed_url"),
    ("B39", "https://example.com/%0d%0aHost:%20evil",  "malformed_url"),
    ("B39", "https://example.com%2f.evil.com/",        "malformed_url"),
    ("B39", "https://exa%6dple.com/",                  "malformed_url"),
    ("B39", "https://example.com\\@127.0.0.1/",        "malformed_url"),
    ("B40", "https://example.com:0/",                  "port_refused"),
    ("B40", "https://example.com:22/",                 "port_refused"),
    ("B40", "http://example.com:25/",                  "port_refused"),
    ("B40", "https://example.com:6379/",               "port_refused"),
    ("B40", "https://example.com:65536/",              "malformed_url"),
    ("B40", "https://example.com:-1/",                 "malformed_url"),
    ("B40", "https://example.com:+80/",                "malformed_url"),
    ("B40", "https://example.com:80:90/",              "malformed_url"),
    ("B40", "https://example.com:٤٤٣/",                "malformed_url"),
    ("B41", "file:///etc/passwd",                      "scheme_refused"),
    ("B41", "gopher://127.0.0.1:6379/_FLUSHALL",       "scheme_refused"),
    ("B41", "ftp://example.com/",                      "scheme_refused"),
    ("B41", "dict://example.com:11211/",               "scheme_refused"),
    ("B41", "unix:/var/run/docker.sock",               "scheme_refused"),
    ("B41", "data:text/html,x",                        "scheme_refused"),
    ("B41", "javascript:alert(1)",                     "scheme_refused"),
    ("B41", "ws://example.com/",                       "scheme_refused"),
    ("B42", "http://example.com/",                     "https_required"),
    ("B43", "https://example.com/" + "a" * 2029,       "url_too_long"),
    ("B43", f"https://{LONG_HOST}.de/",                "malformed_host"),
    ("B43", f"https://{LONG_LABEL}.com/",              "malformed_host"),
    ("B43", "https://a..b/",                           "malformed_host"),
    ("B43", "https://-a.com/",                         "malformed_host"),
    ("B43", "https://xn--/",                           "malformed_host"),
    ("B43", "https://xn--.com/",                       "malformed_host"),
    ("IDN", "https://１２７.0.0.1/",                    "malformed_host"),
    ("IDN", "https://ⓁⓄⒸⒶⓁⒽⓄⓈⓉ/",                      "malformed_host"),
]

ACCEPTED = [
    # row   url                                        canonical
    ("B37", "https://example.com?@127.0.0.1",          "https://example.com/?@127.0.0.1"),
    ("B40", "https://example.com:8443/x",              "https://example.com:8443/x"),
    ("B40", "https://example.com:443/x",               "https://example.com/x"),
    ("B40", "https://example.com:/x",                  "https://example.com/x"),
    ("B43", "https://example.com/" + "a" * 2028,       "https://example.com/" + "a" * 2028),
    ("B43", f"https://{'a' * 63}.com/",                f"https://{'a' * 63}.com/"),
    ("",    "HTTPS://Hooks.Example.COM./A/../b?X=1",   "https://hooks.example.com/b?X=1"),
    ("",    "https://bücher.example/ü",                "https://xn--bcher-kva.example/%C3%BC"),
    ("",    "https://hooks.example.com/a%2Fb%20c?s=%0A", "https://hooks.example.com/a%2Fb%20c?s=%0A"),
    ("",    "https://internal.example.com/",           "https://internal.example.com/"),
    ("",    "https://3com.example.com/",               "https://3com.example.com/"),
]

NOT_PUBLIC = [
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "169.254.170.2",
    "100.64.0.0", "100.127.255.255", "100.100.100.200", "192.0.0.192", "168.63.129.16", "198.18.0.1", "198.19.255.255",
    "192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "0.0.0.0", "0.1.2.3",
    "127.0.0.1", "127.255.255.254", "192.0.2.1", "198.51.100.1", "203.0.113.1",
    "fd00:ec2::254", "fd20:ce::254", "fc00::1", "fe80::1", "fec0::1", "ff02::1", "::", "::1", "2001:db8::1", "3fff::1",
    "5f00::1", "4000::1", "8000::1", "1000::1", "200::1", "100::1",
    # wrappers: v4-mapped, v4-compatible, NAT64 (both prefixes), 6to4, Teredo, SIIT
    "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::",
    "2001:0:7f00:1::", "2001:0:808:808:0:0:80ff:fffe", "::ffff:0:7f00:1",
]

ONE_STEP_OUTSIDE = [  # B26: a wrong deny is a bug too
    "100.63.255.254", "100.128.0.1", "172.15.255.255", "172.32.0.1", "11.0.0.0", "9.255.255.255", "64:ff9c::1",
    "126.255.255.255", "128.0.0.1", "169.253.255.255", "169.255.0.1", "192.167.255.255", "192.169.0.1", "198.17.255.255",
    "198.20.0.1", "192.88.98.1", "192.88.100.1", "223.255.255.255", "168.63.129.15", "168.63.129.17", "1.0.0.1",
    "2000::1", "3ffe::1", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
]
# fmt: on


def reason_of(url: str, rules: EgressRules = PUBLIC) -> str:
    with pytest.raises(UrlRefused) as refused:
        check_url(url, rules)
    return refused.value.reason


@pytest.mark.parametrize(("row", "url", "reason"), REFUSED)
def test_a_url_of_table_b_is_refused_for_its_reason(row: str, url: str, reason: str) -> None:
    assert reason_of(url) == reason


@pytest.mark.parametrize(("row", "url", "canonical"), ACCEPTED)
def test_an_ordinary_url_passes_in_its_canonical_form(row: str, url: str, canonical: str) -> None:
    assert check_url(url, PUBLIC) == canonical
    assert check_url(canonical, PUBLIC) == canonical


def test_plain_http_passes_where_the_operator_allows_it() -> None:
    assert check_url("http://example.com?@127.0.0.1", HTTP_TOO) == "http://example.com/?@127.0.0.1"
    assert reason_of("http://127.0.0.1/", HTTP_TOO) == "ip_literal_refused"


def test_extra_ports_widen_the_three_and_nothing_else() -> None:
    rules = EgressRules(extra_ports=frozenset({9443}))
    assert check_url("https://example.com:9443/", rules) == "https://example.com:9443/"
    assert reason_of("https://example.com:9444/", rules) == "port_refused"


@pytest.mark.parametrize("url", ["https://media.example.com/", "https://FLOWER.example.com.:8443/x"])
def test_our_own_listeners_are_refused(url: str) -> None:
    assert reason_of(url, OWN) == "self_target_refused"
    assert check_url("https://media.example.com:8443/", OWN)


@pytest.mark.parametrize("url", ["http://127.0.0.1:5000/x", "http://[::1]:9/", "https://127.9.9.9/"])
def test_inside_an_allowed_range_literals_http_and_every_port_are_free(url: str) -> None:
    assert check_url(url, LOOPBACK) == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://2130706433:5000/", "ip_literal_refused"),  # an allowed address, but only in its one spelling
        ("http://127.1:5000/", "ip_literal_refused"),
        ("http://127.0.0.1:0/", "port_refused"),
        ("http://10.0.0.1/", "address_not_public"),
        ("http://localhost:0/", "port_refused"),
    ],
)
def test_an_allowed_range_opens_nothing_beside_it(url: str, reason: str) -> None:
    assert reason_of(url, LOOPBACK) == reason


def test_an_allowed_port_of_our_own_is_still_ours() -> None:
    rules = EgressRules(allow_cidrs=("127.0.0.0/8",), own_hosts=frozenset({("127.0.0.1", 8000)}))
    assert reason_of("http://127.0.0.1:8000/", rules) == "self_target_refused"
    assert check_url("http://127.0.0.1:8001/", rules)


def test_denied_ranges_win_over_allowed_ones() -> None:
    rules = EgressRules(allow_cidrs=("10.0.0.0/8",), deny_cidrs=("10.1.0.0/16", "93.184.0.0/16"))
    assert rules.permits(ip_address("10.2.0.1"))
    assert not rules.permits(ip_address("10.1.0.1"))
    assert not rules.permits(ip_address("93.184.216.34"))
    assert reason_of("http://10.1.0.1/", rules) == "address_not_public"


@pytest.mark.parametrize("cidr", ["10.0.0.0/33", "nonsense", "64:ff9b::/96"])
def test_a_range_that_cannot_be_meant_fails_at_start(cidr: str) -> None:
    with pytest.raises(ValueError, match=cidr.split("/")[0]):
        EgressRules(allow_cidrs=(cidr,))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_of_b25_is_not_public(address: str) -> None:
    assert not PUBLIC.permits(ip_address(address))


@pytest.mark.parametrize("address", ONE_STEP_OUTSIDE)
def test_the_neighbours_of_denied_ranges_are_public(address: str) -> None:
    assert PUBLIC.permits(ip_address(address))


@pytest.mark.parametrize("address", [a for a in NOT_PUBLIC if not a.startswith("127.")])
def test_a_literal_of_b25_is_refused_before_any_lookup(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert reason_of(f"https://{host}/") == "address_not_public"


@pytest.mark.parametrize(("row", "url", "reason"), REFUSED)
def test_a_refusal_echoes_little(row: str, url: str, reason: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        check_url(url, PUBLIC)
    message = str(refused.value)
    assert len(message) < 160
    assert message.isprintable()
    assert "pw" not in message


# fmt: off
FRAGMENTS = [
    "http", "https", ":", "/", "//", "@", "#", "?", "[", "]", "%", "%2e", "\\", ".", "..", " ", "\t", "80", "443", "-1",
    "a", "A", "٣", "。", "127.0.0.1", "0x7f.1", "::1", "localhost", "example.com", "bücher", "xn--",
]
# fmt: on
PIECES = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)


@settings(max_examples=400, deadline=None)
@given(PIECES | st.text(max_size=40) | PIECES.map("https://".__add__))
def test_any_text_is_either_refused_or_canonical(text: str) -> None:
    try:
        once = check_url(text, LOOPBACK)
    except UrlRefused:
        return
    assert check_url(once, LOOPBACK) == once
    assert once.isascii()
    first, again = examine(text, LOOPBACK), examine(once, LOOPBACK)
    assert (first.scheme, first.host, first.port) == (again.scheme, again.host, again.port)


# What names answer today: advisory at create.


def answering(*addresses: str) -> egress.Net:
    async def resolve(host: str, port: int) -> Sequence[str]:
        if not addresses:
            raise OSError("no such name")
        return addresses

    return egress.Net(resolve=resolve)


def resolved_reason(url: str, rules: EgressRules, *addresses: str) -> str | None:
    try:
        asyncio.run(resolve_check(url, rules, resolve=answering(*addresses).resolve))
    except UrlRefused as refused:
        assert not any(address in str(refused) for address in addresses)
        return refused.reason
    return None


@pytest.mark.parametrize(
    ("url", "rules", "answers", "reason"),
    [
        ("https://ok.example.com/", PUBLIC, ["93.184.216.34", "2606:2800:220:1::1"], None),
        ("https://7f000001.nip.io/", PUBLIC, ["127.0.0.1"], "address_not_public"),  # B30
        ("https://mixed.example.com/", PUBLIC, ["93.184.216.34", "10.0.0.1"], "address_not_public"),  # B32
        ("https://mapped.example.com/", PUBLIC, ["::ffff:10.0.0.1"], "address_not_public"),
        ("https://gone.example.com/", PUBLIC, [], None),  # may come up later; connect decides
        ("https://us.example.com/", OWN, ["10.1.2.3"], "self_target_refused"),
        ("http://localhost:9000/", LOOPBACK, ["127.0.0.1", "::1"], None),
        ("http://receiver:9000/", LOOPBACK, ["127.0.0.2"], None),
        ("http://localhost:9000/", LOOPBACK, ["93.184.216.34"], "host_not_public"),
        ("http://localhost:9000/", LOOPBACK, [], "host_not_public"),
        ("http://example.com/", LOOPBACK, ["93.184.216.34"], "https_required"),
        ("https://example.com:22/", LOOPBACK, ["93.184.216.34", "127.0.0.1"], "port_refused"),
        ("https://example.com/", LOOPBACK, ["93.184.216.34", "127.0.0.1"], None),
    ],
)
def test_the_answers_of_a_name_are_held_to_the_rules(url: str, rules: EgressRules, answers: list[str], reason: str | None) -> None:
    assert resolved_reason(url, rules, *answers) == reason


@pytest.mark.parametrize("answers", [["10.0.0.1"], ["93.184.216.34", "10.0.0.1"]])
def test_a_refusal_at_create_takes_its_50_ms(answers: list[str]) -> None:
    began = time.monotonic()
    assert resolved_reason("https://slow.example.com/", PUBLIC, *answers) == "address_not_public"
    assert time.monotonic() - began >= 0.049


# What is stored of foreign text.


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("Authorization: Bearer abc.def-123==", "Authorization: Bearer ***"),
        ("Incorrect API key provided: sk-proj-AbC_123456.", "Incorrect API key provided: sk-***."),
        ("GET /v1/x?key=AIzaSyB1234567&alt=json", "GET /v1/x?key=***&alt=json"),
        ("?X-Amz-Signature=0a1b2c3d&X-Amz-Date=1", "?X-Amz-Signature=***&X-Amz-Date=1"),
        ('{"api_key": "0123456789", "model": "m"}', '{"api_key": "***", "model": "m"}'),
        ("secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret whsec_***"),
        ("a\x1b[31mred\r\n\u202egnp.exe\0", "a\\x1b[31mred\\r\\n\\u202egnp.exe\\x00"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("ein Schlüssel fehlt", "ein Schlüssel fehlt"),
        ("the monkey ate a turkey", "the monkey ate a turkey"),
    ],
)
def test_stored_text_has_no_secrets_and_prints(text: str, stored: str) -> None:
    assert redact(text) == stored


def test_stored_text_is_short_however_long_it_came() -> None:
    began = time.process_time()
    assert len(redact("Bearer x" * 1_000_000)) <= 500
    assert len(redact("\0" * 5000)) <= 500
    assert redact("x" * 9, limit=4) == "xxxx"
    assert time.process_time() - began < 1
