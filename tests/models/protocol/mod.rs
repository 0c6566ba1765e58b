//! The protocol between browsers, nodes and the store, over every order of events at small scope.
//!
//! `stateright` walks all states of a few small models. With all rules none of their properties has a
//! counterexample; with one rule taken out ([`rules::Rules`]) the property beside it has one, which the
//! test prints (`--nocapture`). Messages to the store run late, in any order, twice or never; answers
//! are lost; a call is sent again with the same id; callers give up; a node may stop at any point, and a
//! response may reach its browser after a later one. Each script is one step, as Redis has it.
//!
//! # Models and their scopes
//!
//! | model | what is in it |
//! |---|---|
//! | [`sign_in`] | two nodes, the keys of two users, a limit of 1; two sign-ins as the second user, one of them in a browser of the first, and the end of all or of one; 1 tick, 1 broken connection, 1 dropped response |
//! | [`cut`] | up to two sign-ins or a changed password, and an end of all; 2 or 3 ticks, 1 broken connection, the clock steps back by 2 or 3 |
//! | [`given_up`] | two sign-ins at a limit of 1, with a deadline of a tick; 3 ticks, 1 broken connection, 1 dropped response |
//! | [`guest`] | a guest with a cart signs in at a refusing limit of 1 that another may take, puts something into the cart, and looks at a page; 1 broken connection, 1 lost response |
//! | [`double`] | three sign-ins of one browser with the same cookie, of a guest or a user; 1 broken connection, 2 lost responses |
//! | [`rotation`] | one session, up to 3 requests in parallel and 5 in all, 5 ticks with a grace of 2, 1 lost answer; or 4 requests, a thief and a stranger |
//! | [`data`] | four requests that set keys, update or end; 1 broken connection |
//! | [`turns`] | two commits of one request, at once or the second because the first was dropped |
//! | [`key`] | one key with two sessions, their notices and a cutoff, 6 operations in 11 ticks, the clock steps back by 3 |
//!
//! # Rules
//!
//! Those that DESIGN marks with ⚑ (its § in brackets), and those of rotation and double submits. Without
//! the switch, the property of that name breaks.
//!
//! | rule | switch | property |
//! |---|---|---|
//! | commits of one session take turns (2) | `turns` | `turns::COUNTS_ONCE` |
//! | committing again is the same session (2) | `made_once` | `turns::ONE_SESSION` |
//! | a sign-in whose response was dropped ends as undelivered (2) | `gives_up` | `NOTHING_UNDELIVERED` |
//! | `NX`, then `GT` (4) | `nx`, `gt` | `HAS_TTL`, `SESSION_KEPT` |
//! | last activity = max(stored, now) (4) | `activity_max` | `NOT_SHORTENED` |
//! | what is ahead of now counts as now (4) | `never_ahead` | `NOT_AHEAD` |
//! | a cutoff in the future moves to now (4) | `cut_moves` | `NOT_LOCKED_OUT` |
//! | the layer checks the cutoff again (4) | `checked_again` | `CUT_WINS` |
//! | ages count suspended time (4) | `counts_suspension` | `CUT_WINS` |
//! | a sign-in after its own `end_all` counts from that cutoff (4) | `own_cut` | `PASSWORD` |
//! | … and from no other, whatever the clock did | `names_cut` | `CUT_WINS` |
//! | an end as undelivered behind a `create` that timed out (4) | `gives_up`, `tombstone` | `NOTHING_UNDELIVERED` |
//! | … and behind a refusal of what was sent twice | `gives_up_copies` | `NOTHING_UNDELIVERED` |
//! | the moment after which `create` refuses to run (4) | `latest` | `GIVEN_UP` |
//! | the session under the other key ends only after *created* (4) | `ends_after_created` | `COSTS_NOTHING` |
//! | the end of a guest returns its data if that moved (4) | `brings_along` | `CART_KEPT` |
//! | sent again only with a new age (4) | `new_age` | `VOID_IS_NOTHING` |
//! | a `create` that finds its id live gives the same answer (4) | `knows_its_own` | `ONCE` |
//! | … as a notice the answer *ended* (4) | `stays_ended` | `STAYS_ENDED` |
//! | an update of unknown outcome is not run again (4) | `update_once` | `data::COUNTS_ONCE` |
//! | the cookie of a replaced session stays (5) | `keeps_cookie` | `LATE_ANSWER` |
//! | a double submit follows the successor | `follows`, `marker` | `ONE_PLACE` |
//! | a successor is derived, by a salt that is kept | `derived` | `CONVERGES` |
//! | the previous token goes on until it was followed, and for a grace | `until_seen`, `grace` | `LOGS_NOBODY_OUT` |
//! | no rotation while any previous token is in its time | `one_at_a_time` | `LOGS_NOBODY_OUT` |
//! | no `Set-Cookie` once the successor was seen | `no_upgrade` | `NO_UPGRADE` |
//! | reuse ends the session, any other wrong secret is unknown | `reuse_ends`, `knows_formers` | `REUSE_ENDS`, `STRANGER` |
//! | rows of §5: merged by key, compared, no save to an ended session | `merges`, `compares`, `saves_live` | `BOTH_KEPT`, `data::COUNTS_ONCE`, `data::STAYS_ENDED` |
//! | a key's TTL has time to spare | `spare` | `SESSION_KEPT` |
//!
//! What DESIGN marks with ⚑ and is no matter of the protocol has an ordinary test:
//!
//! | rule | test |
//! |---|---|
//! | 408 counts as failed | `verdict::from_500_on_and_at_408_a_sign_in_is_not_stored_and_the_answer_stays` |
//! | a script reads no data but its own session's | `redis_keys::each_operation_is_one_evalsha_that_touches_its_one_key` |
//! | long argument lists in chunks | `redis_hash::what_is_no_record_goes_in_any_number_and_what_is_of_another_version_stays` |
//! | data is not MessagePack | `token::any_bytes_are_data_or_an_error` |
//! | `allow-oom` | `redis_keys::a_full_server_still_lets_people_in_and_out` |
//! | whole milliseconds | `redis_hash::the_cut_is_kept_to_the_millisecond` |
//! | retries of the Cluster client | `store_cluster::keeps_the_whole_contract_and_does_so_while_slots_move` |
//! | two cookies that differ | `shown::of_two_that_differ_neither_is_used_and_none_is_removed` |
//! | other cookies in odd bytes | `shown::a_foreign_cookie_in_odd_bytes_signs_nobody_out` |
//!
//! # What is left out, because it does not hold
//!
//! - A clock that steps *forward* (a failover to a server that is ahead), and `Login::since` with a clock
//!   that steps back: a sign-in that was under way then counts as that much later, and may survive a cutoff.
//!   As lifetimes do, the cutoff holds to within the skew between servers.
//! - A sign-in that only the layer finds void has made room already: for what its script ran late.
//! - Where the answer to a guest's end is lost, what was put into its cart late is lost with it
//!   (`unsure`): asked again, the store has the notice only.
//! - A first sending that runs after a later request's change of the same key takes that back.
//! - An update whose commit was dropped while it was stored, and that is committed again, may count twice.
//! - Of two answers to a double submit the browser keeps the one that arrives last, be it the one whose
//!   session was replaced. So does the removal of a cookie whose session ended for another reason.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod check;
mod cutoff;
mod data;
mod double;
mod given_up;
mod guest;
mod key;
mod model;
mod node;
mod parallel;
mod props;
mod rotation;
mod rules;
mod scene;
mod session_set;
mod sign_in;
mod tokens;
mod turns;
mod world;
