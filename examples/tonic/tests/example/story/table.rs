//! The story: alice may have three devices.

use super::door::{
    Deed::{
        End, EndOthers, List, LogIn, LogInKeepingOthers, LogOut, ShowLastToken, ShowTwoTokens,
        StoreFails, StoreMends, WhoAmI,
    },
    Outcome::{self, Alice, Done, Ended, Full, In, Unavailable},
    Who::{self, Laptop, Phone, Tablet, Tv},
};

type Step = (&'static str, Vec<(Who, super::Deed, Outcome)>);

pub(crate) fn story() -> [Step; 12] {
    let out = Outcome::out;
    [
        (
            "a phone signs in",
            vec![
                (Phone, WhoAmI, out("not_signed_in")),
                (Phone, LogIn, In),
                (Phone, WhoAmI, Alice),
            ],
        ),
        ("a laptop signs in", vec![(Laptop, LogIn, In)]),
        (
            "a tablet signs in",
            vec![(Tablet, LogIn, In), (Phone, WhoAmI, Alice)],
        ),
        (
            "a fourth evicts the least recently active",
            vec![(Tv, LogIn, In), (Laptop, WhoAmI, out("evicted"))],
        ),
        (
            "the list",
            vec![(
                Tv,
                List,
                Outcome::List(vec![(Tv, true), (Phone, false), (Tablet, false)]),
            )],
        ),
        (
            "end one",
            vec![
                (Tv, End(Tablet), Done),
                (Tablet, WhoAmI, out("revoked")),
                (Tv, List, Outcome::List(vec![(Tv, true), (Phone, false)])),
            ],
        ),
        (
            "end others",
            vec![
                (Phone, EndOthers, Ended(1)),
                (Tv, WhoAmI, out("revoked")),
                (Phone, List, Outcome::List(vec![(Phone, true)])),
            ],
        ),
        (
            "sign out",
            vec![(Phone, LogOut, Done), (Phone, WhoAmI, out("not_signed_in"))],
        ),
        (
            "a dead token",
            vec![
                (Phone, ShowLastToken, out("logged_out")),
                (Tv, ShowLastToken, out("revoked")),
            ],
        ),
        (
            "refuse mode",
            vec![
                (Phone, LogInKeepingOthers, In),
                (Laptop, LogInKeepingOthers, In),
                (Tablet, LogInKeepingOthers, In),
                (Tv, LogInKeepingOthers, Full),
                (Tv, WhoAmI, out("not_signed_in")),
                (Phone, WhoAmI, Alice),
                (Laptop, WhoAmI, Alice),
                (Tablet, WhoAmI, Alice),
            ],
        ),
        (
            "an outage",
            vec![
                (Phone, StoreFails, Done),
                (Phone, WhoAmI, Unavailable),
                (Tv, LogInKeepingOthers, Unavailable),
                (Tv, WhoAmI, out("not_signed_in")),
                (Phone, StoreMends, Alice),
                (Laptop, WhoAmI, Alice),
            ],
        ),
        (
            "two tokens",
            vec![
                (Phone, ShowTwoTokens(Laptop), out("not_signed_in")),
                (Phone, WhoAmI, Alice),
                (Laptop, WhoAmI, Alice),
            ],
        ),
    ]
}
