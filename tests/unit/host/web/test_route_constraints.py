"""Constraints of route parameters, one by one."""

import pytest

from durable_app.errors import DefinitionError
from durable_app.host.web.route_constraints import constraint

GUID = "9e952958-5e33-4daf-827f-2fa12937b875"


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        (
            "int",
            ["0", "-5", "+7", " 8 ", "2147483647"],
            ["", "1.0", "2147483648", "\u0663", "1_000"],
        ),
        ("INT", ["1"], ["x"]),
        ("long", ["9223372036854775807", "-9223372036854775808"], ["9223372036854775808", "a"]),
        ("bool", ["true", "FALSE", " True "], ["1", "yes", ""]),
        ("decimal", ["1", "-1.5", "1,234.5", ".5", "5."], ["1e3", "", ".", "9" * 30, "NaN"]),
        ("double", ["1", "1.5e-3", "-2E5", "NaN", "-Infinity"], ["inf", "", "1_0", "0x1"]),
        ("float", ["3.25", "1,000"], ["three"]),
        (
            "guid",
            [GUID, GUID.replace("-", ""), f"{{{GUID}}}", f"({GUID})", GUID.upper()],
            [f"urn:uuid:{GUID}", f"{{{GUID}", GUID[:-1], "9e95-2958" + "0" * 24],
        ),
        ("alpha", ["abc", "XYZ"], ["a1", "a b", "\u017f"]),
        ("required", ["x", " "], [""]),
        ("minlength(2)", ["ab", "abc"], ["a"]),
        ("maxlength(2)", ["", "ab"], ["abc"]),
        ("length(2)", ["ab"], ["a", "abc"]),
        ("length(2, 3)", ["ab", "abc"], ["a", "abcd"]),
        ("min(5)", ["5", "99"], ["4", "x", ""]),
        ("max(5)", ["5", "-99"], ["6", "x"]),
        ("range(1,3)", ["1", "3"], ["0", "4", "two"]),
        ("regex(^a(b|c)d$)", ["abd", "ACD"], ["ad", "xabd"]),
        (r"regex(^(?<year>\d{4})-(?<=x)?)", ["2026-"], ["26-"]),
        ("regex()", ["", "all"], []),
        (
            "datetime",
            [
                "2026-01-02",
                "2026-01-02T03:04:05Z",
                "12/31/2025",
                "12-31-2025 10:30 PM",
                "2026/01/02",
                "2 Jan 2026",
                "January 2, 2026",
                "10:30",
            ],
            ["", "2026-13-01", "soon", "31/12/2025"],
        ),
    ],
)
def test_a_constraint_takes_what_dotnet_takes(text, good, bad):
    check = constraint(text, "api/{x}")
    assert [value for value in good if not check(value)] == []
    assert [value for value in bad if check(value)] == []


@pytest.mark.parametrize(
    "text",
    ["nope", "int()", "min", "min()", "min(a)", "min(1,2)", "length(1,x)", "range(1)", "min(1"],
)
def test_a_constraint_that_does_not_exist_is_refused(text):
    with pytest.raises(DefinitionError, match=r"does not exist\. There are int, long, bool"):
        constraint(text, "api/{x}")


def test_a_bad_regular_expression_is_refused():
    with pytest.raises(DefinitionError, match="Route 'api/x': bad regular expression"):
        constraint("regex(()", "api/x")
