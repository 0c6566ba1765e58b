//! The rules of the scripts, each of which the histories miss if it is removed.

/// A rule, and the line of a script that implements it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) what: &'static str,
    /// Only in scripts that also have this line.
    pub(super) script: &'static str,
    pub(crate) line: &'static str,
    pub(super) instead: &'static str,
}

const RESOLVE: &str = "Verifies a token, records the activity";
const CREATE: &str = "Makes a session and enforces the user's limit";
const SAVE: &str = "Merges changes into the data of a live session";
const ROTATE: &str = "Gives a live session a new token";
const END: &str = "Ends sessions of a user";
const LIST: &str = "Reads the live sessions of a user";

const fn rule(
    what: &'static str,
    script: &'static str,
    line: &'static str,
    instead: &'static str,
) -> Rule {
    Rule {
        what,
        script,
        line,
        instead,
    }
}

const LIVE: &str = "or now >= deadline\n    or now >= activity + lasting(kind, idle)";
/// The same in a sign-in.
const RIVAL: &str =
    "and now < deadline\n      and now < activity + (kind > 127 and lasting(kind, idle) or idle)";

pub(crate) const MUTANTS: &[Rule] = &[
    rule(
        "resolve: the idle deadline",
        RESOLVE,
        "and now < activity + idle",
        "and true",
    ),
    rule(
        "resolve: the absolute deadline",
        RESOLVE,
        "and now < deadline",
        "and true",
    ),
    rule(
        "resolve: the digest",
        RESOLVE,
        "and sub(record, 51, 82) == digest",
        "and true",
    ),
    rule(
        "resolve: a successor that was seen",
        RESOLVE,
        "struct.pack(\">BB\", VERSION, kind - 64)",
        "struct.pack(\">BB\", VERSION, kind)",
    ),
    rule(
        "resolve: a session is used from then on",
        RESOLVE,
        "struct.pack(\">BB\", VERSION, string.byte(record, 2) - 128)",
        "struct.pack(\">BB\", VERSION, string.byte(record, 2))",
    ),
    rule(
        "resolve: reuse",
        RESOLVE,
        "if now >= good then",
        "if false then",
    ),
    rule(
        "create: the cutoff",
        CREATE,
        "if cutoff and rejected then",
        "if false then",
    ),
    rule(
        "create: the id that was there before",
        CREATE,
        "if again then",
        "if false then",
    ),
    rule(
        "create: the limit",
        CREATE,
        "if kind == 2 or class_limit == 0 and all.count < limit then",
        "if true then",
    ),
    rule(
        "create: who is least active",
        CREATE,
        "goes[1] = all.least",
        "goes[1] = all.rivals[1]",
    ),
    rule(
        "create: who is least active of several",
        CREATE,
        "to_front(those, count, goes_before)",
        "",
    ),
    rule(
        "create: what is unused for long goes first",
        CREATE,
        "if rival and now - created % ERA > UNUSED_FOR then",
        "if false then",
    ),
    rule(
        "create: what is unused and of the same client goes next",
        CREATE,
        "elseif rival and string.sub(record, 84, 82 + new.own) == string.sub(new.body, 2, new.own) then",
        "elseif false then",
    ),
    rule(
        "create: what is unused for long does not count for a refusal",
        CREATE,
        "refused or turn[at] ~= 1",
        "true",
    ),
    rule(
        "create: what the same sign-in ended before",
        CREATE,
        "unused = unused > 127 and now - created < MINUTE",
        "unused = false",
    ),
    rule("create: the deadlines", CREATE, RIVAL, ""),
    rule(
        "create: what was replaced before",
        CREATE,
        "id = string.sub(record, 52, 67)",
        "return nil",
    ),
    rule(
        "create: a ticket works once",
        CREATE,
        "gone[#gone + 1] = redeem ~= \"\" and string.sub(redeem, 1, 16) or nil",
        "",
    ),
    rule(
        "save: whether it is live",
        SAVE,
        "if not created then",
        "if not record then",
    ),
    rule(
        "save: the revision",
        SAVE,
        "if expect ~= \"\" and tonumber(expect) ~= revision then",
        "if false then",
    ),
    rule("rotate: whether it is live", ROTATE, LIVE, ""),
    rule(
        "rotate: the token that is sent",
        ROTATE,
        "elseif present ~= sent then",
        "elseif false then",
    ),
    rule(
        "rotate: previous tokens in their time",
        ROTATE,
        "if again == 0 and (now < good_until(newer)",
        "if false and (now < good_until(newer)",
    ),
    rule(
        "rotate: a second re-authentication with one token",
        ROTATE,
        "rejected == 0 or proven",
        "rejected == 0",
    ),
    rule(
        "rotate: the token of the first of the two",
        ROTATE,
        "if twice then",
        "if false then",
    ),
    rule(
        "rotate: a lifetime that is shorter by now",
        ROTATE,
        "math.max(1, math.min(absolute, longest))",
        "absolute",
    ),
    rule(
        "end: the caller",
        END,
        "if caller ~= \"\" and not again",
        "if false and not again",
    ),
    rule(
        "end: the cutoff",
        END,
        "\"cut\", string.format(\"%.0f\", cutoff), \"set_by\",",
        "\"set_by\",",
    ),
    rule(
        "end: the cutoff that the same call set before",
        END,
        "string.sub(set_by, 1, 8) == of",
        "false",
    ),
    rule(
        "end: what the same call ended before",
        END,
        "kind > 64 and string.sub(record, at, at + 7) == call",
        "false",
    ),
    rule("end: the deadlines", END, LIVE, ""),
    rule(
        "end: the realm of one session",
        END,
        "if created and not is_within(record, within) then",
        "if false then",
    ),
    rule(
        "end: a cutoff after the previous one",
        END,
        "before and before + 1 or now",
        "before or now",
    ),
    rule(
        "list: the realm",
        LIST,
        "if not realm or place == realm then",
        "if true then",
    ),
    rule(
        "create: the realm of the limit",
        CREATE,
        "local rival = place == realm and",
        "local rival =",
    ),
    rule(
        "create: the realm of the new session",
        CREATE,
        "class, realm, 0, begins + era, authenticated + era, now,",
        "class, 0, 0, begins + era, authenticated + era, now,",
    ),
    rule(
        "resolve: an invalid token ends nothing",
        RESOLVE,
        "if rejected == 1 then",
        "if false then",
    ),
    rule(
        "resolve: an invalid token is reported once",
        RESOLVE,
        "string.sub(record, 1, from - 1) .. NONE",
        "string.sub(record, 1, from + 40)",
    ),
    rule(
        "ticket: its terms",
        CREATE,
        ".. string.sub(offer, 17))",
        ".. string.sub(offer, 17, 48))",
    ),
    rule("list: the deadlines", LIST, LIVE, ""),
    rule(
        "resolve: the end of all sessions",
        RESOLVE,
        "and not (ARGV[4] and math.min(created, authenticated) < tonumber(ARGV[4])) then",
        "then",
    ),
    rule(
        "resolve: a sign-in proven before the end of all sessions",
        RESOLVE,
        "math.min(created, authenticated) < tonumber(ARGV[4])",
        "created < tonumber(ARGV[4])",
    ),
    rule(
        "create: a sign-in proven before the end of all sessions",
        CREATE,
        "elseif authenticated + era < not_before then",
        "elseif false then",
    ),
    rule(
        "create: a clock that is behind the end of all sessions",
        CREATE,
        "local begins = math.max(now, after)",
        "local begins = now",
    ),
    rule(
        "create: what ended with all sessions leaves notices",
        CREATE,
        "for _, at in ipairs(all.over or {}) do",
        "for _, at in ipairs({}) do",
    ),
    rule("save: the end of all sessions", SAVE, OF_ALL, NEVER),
    rule(
        "rotate: the end of all sessions",
        ROTATE,
        "kind = live(record, now, not_before)",
        "kind = live(record, now, -math.huge)",
    ),
    rule(
        "rotate: a clock that is behind the end of all sessions",
        ROTATE,
        "math.max(authenticated, ",
        "math.max(-math.huge, ",
    ),
    rule(
        "end: the end of all sessions",
        END,
        "now, tonumber(not_before)) then",
        "now, -math.huge) then",
    ),
    rule(
        "list: the end of all sessions",
        LIST,
        "= live(record, now, not_before)\n  if created then\n    if not realm",
        "= live(record, now, -math.huge)\n  if created then\n    if not realm",
    ),
    rule(
        "list: what ended with all sessions stays",
        LIST,
        "and not live(record, now, -math.huge) then",
        "then",
    ),
];

const OF_ALL: &str = "live(record, now, tonumber(not_before))";
const NEVER: &str = "live(record, now, -math.huge)";
