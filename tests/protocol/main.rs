//! The protocol between browsers, nodes and the store, in every order of events of small models.
//!
//! `stateright` walks all states of a few small models. With all rules, no property has a
//! counterexample. With one rule turned off ([`rules::Rules`]), the property beside it has one, which
//! the test prints (`--nocapture`).
//!
//! Messages to the store run late, in any order, twice or never. Replies are lost, a call is sent again
//! with the same id, and callers give up. A node may stop at any point, and a response may reach its
//! browser after a later one. Each script is one step, as in Redis.
//!
//! # Models and their scopes
//!
//! | model | what is in it |
//! |---|---|
//! | [`sign_in`] | two nodes, the keys of two users, a limit of 1. Two sign-ins as the second user, one of them in a browser of the first, and the end of all or of one. 1 tick, 1 broken connection, 1 dropped response |
//! | [`cutoff`] | up to two sign-ins or a password change, and an end of all; 2 or 3 ticks, 1 broken connection, the clock steps back by 2 or 3 |
//! | [`given_up`] | two sign-ins at a limit of 1, with a deadline of a tick; 3 ticks, 1 broken connection, 1 dropped response |
//! | [`guest`] | a guest with a cart signs in at a refusing limit of 1 that another sign-in may fill, puts an item into the cart, and loads a page; 1 broken connection, 1 lost response |
//! | [`double`] | three sign-ins of one browser with the same cookie, of a guest or a user; 1 broken connection, 2 lost responses |
//! | [`rotation`] | one session, up to 3 requests in parallel and 5 in all, 5 ticks with a grace of 2, 1 lost response; or 4 requests, a thief and a stranger |
//! | [`data`] | four requests that set keys, update or end; 1 broken connection |
//! | [`unused`] | a phone and a laptop that send a request now and then, and one or two clients that sign in and never come back; a limit of 3 or 4, 8 steps |
//! | [`turns`] | two commits of one request, at once or the second because the first was dropped |
//! | [`realm`] | one user in two realms, with tickets and tokens from before a re-authentication, 6 operations |
//! | [`near`] | one entry of a near cache, its feed, a fill, and a write and the end by another node. 4 ticks with a lease of 2. A broken connection and lost permission, or 2 lost messages, or an own write |
//! | [`deferred`] | one session whose token rotates, looks and activity that come later; 6 ticks with a grace of 2 |
//! | [`key`] | one key with two sessions, their notices and a cutoff, 6 operations in 11 ticks, the clock steps back by 3 |
//!
//! # Rules
//!
//! These are the rules that DESIGN marks with ⚑ (its § in brackets), and those of rotation and double
//! submits. With the switch off, the property in the last column breaks.
//!
//! | rule | switch | property |
//! |---|---|---|
//! | commits of one session take turns (2) | `turns` | `turns::COUNTS_ONCE` |
//! | committing again is the same session (2) | `made_once` | `turns::ONE_SESSION` |
//! | a sign-in whose response was dropped ends as undelivered (2) | `gives_up` | `NOTHING_UNDELIVERED` |
//! | `NX`, then `GT` (4) | `nx`, `gt` | `HAS_TTL`, `SESSION_KEPT` |
//! | last activity = max(stored, now) (4) | `activity_max` | `NOT_SHORTENED` |
//! | a moment in the future counts as now (4) | `never_ahead` | `NOT_AHEAD` |
//! | a cutoff in the future moves to now (4) | `cutoff_moves` | `NOT_LOCKED_OUT` |
//! | the layer checks the cutoff again (4) | `checked_again` | `CUTOFF_WINS` |
//! | ages count suspended time (4) | `counts_suspension` | `CUTOFF_WINS` |
//! | a sign-in after its own `end_all` counts from that cutoff (4) | `own_cutoff` | `PASSWORD` |
//! | … and from no other, whatever the clock did | `names_cutoff` | `CUTOFF_WINS` |
//! | a `create` that timed out is followed by an end as undelivered (4) | `gives_up`, `tombstone` | `NOTHING_UNDELIVERED` |
//! | … and so is a refusal of a call that was sent twice | `gives_up_copies` | `NOTHING_UNDELIVERED` |
//! | the moment after which `create` refuses to run (4) | `latest` | `GIVEN_UP` |
//! | the session under the other key ends only after the reply *created* (4) | `ends_after_created` | `COSTS_NOTHING` |
//! | the end of a guest session returns its data if that changed (4) | `brings_along` | `CART_KEPT` |
//! | … and ends only at the revision that was read | `ends_as_read` | `CART_KEPT` |
//! | a call is sent again only with a new age (4) | `new_age` | `REJECTED_IS_NOTHING` |
//! | a `create` that finds its id live gives the same answer (4) | `knows_its_own` | `ONCE` |
//! | … or *ended*, if it finds a notice (4) | `stays_ended` | `STAYS_ENDED` |
//! | an update of unknown outcome is not run again (4) | `update_once` | `data::COUNTS_ONCE` |
//! | the cookie of a dead token stays (5) | `keeps_cookie` | `LATE_ANSWER` |
//! | a double submit replaces the successor | `follows`, `marker` | `ONE_PLACE` |
//! | the new token is derived, with a salt that is kept | `derived` | `CONVERGES` |
//! | the previous token works until the new one was used, and for a grace | `until_seen`, `grace` | `SIGNS_NOBODY_OUT` |
//! | no rotation while any previous token is in its grace | `one_at_a_time` | `SIGNS_NOBODY_OUT` |
//! | no `Set-Cookie` once the new token was used | `no_upgrade` | `NO_UPGRADE` |
//! | reuse ends the session, any other wrong secret is unknown | `reuse_ends`, `knows_previous` | `REUSE_ENDS`, `STRANGER` |
//! | unused sessions are evicted first, those of the same client next | `unused_first`, `own_unused_next` | `unused::DEVICES_STAY` |
//! | rows of §5: merged by key, compared, no save to an ended session | `merges`, `compares`, `saves_live` | `BOTH_KEPT`, `data::COUNTS_ONCE`, `data::STAYS_ENDED` |
//! | realms keep apart, ends of all cross them | `realm_in_digest`, `realm_of_limit`, `ends_apart`, `ends_cross` | `ONLY_ITS_REALM`, `APART`, `ALL_END` |
//! | a ticket keeps its terms | `ticket_keeps` | `LIMIT_HOLDS` |
//! | an invalid token ends nothing and is reported once | `invalid_ends_nothing`, `reported_once` | `INVALID` |
//! | the TTL of a key has time to spare | `spare` | `SESSION_KEPT` |
//!
//! | an entry counts in its epoch (live) | `near`: `epoch` | `FEED_BOUNDS` |
//! | a fill that a message overtook is not kept (live) | `near`: `count` | `FEED_BOUNDS` |
//! | the lease counts from the question (live) | `near`: `from_question` | `LEASE_BOUNDS` |
//! | heard is when the PING was sent, and a PONG comes after messages (live) | `near`: `from_ping`, `in_order` | `FEED_BOUNDS` |
//! | a node waits for its own number on the feed (live) | `near`: `loop_back` | `FEED_BOUNDS` |
//! | own writes remove the entry (live) | `near`: `own` | `OWN_WRITES` |
//! | looks and late activity send no token (live) | `deferred`: `look_by_id`, `touch` | `ENDS_NOTHING` |
//!
//! Other rules that DESIGN marks with ⚑ are not part of the protocol and have an ordinary test:
//!
//! | rule | test |
//! |---|---|
//! | 408 counts as failed | `verdict::from_500_on_and_at_408_a_sign_in_is_not_stored_and_the_response_is_kept` |
//! | a script reads the data of its own session only | `redis_keys::a_script_reads_no_data_but_that_of_the_session_it_is_asked_for` |
//! | a script reads the time once | `house::every_script_is_short_and_touches_only_the_key_it_declares` |
//! | a new age in the code, too | `resent::a_sign_in_that_is_sent_again_after_an_end_of_all_is_rejected` |
//! | long argument lists in chunks | `redis_hash::any_number_of_malformed_records_is_removed_and_those_of_another_version_stay` |
//! | data is not MessagePack | `token::any_bytes_are_data_or_an_error` |
//! | `allow-oom` | `redis_keys::a_full_server_refuses_sign_ins_but_resolves_rotates_and_ends_sessions` |
//! | whole milliseconds | `redis_hash::the_cutoff_is_kept_to_the_millisecond` |
//! | retries of the Cluster client | `store_cluster::keeps_the_whole_contract_and_does_so_while_slots_move` |
//! | two cookies that differ | `shown::of_two_differing_cookies_neither_is_used_or_removed` |
//! | other cookies in odd bytes | `shown::another_cookie_in_odd_bytes_does_not_hide_the_session_cookie` |
//!
//! # What is left out, because it does not hold
//!
//! - A clock that steps *forward*, as in a failover to a server that is ahead. A sign-in in progress then
//!   counts as that much later, and may survive a cutoff. Like lifetimes, the cutoff is exact to within
//!   the skew between servers.
//! - `Login::since` with a clock that steps back: the same happens.
//! - A sign-in that only the layer rejects: its script ran late and has already evicted for it.
//! - A guest session that the store did not end in time (`unsure`): late items of its cart are lost with it. The store
//!   ends it later.
//! - A first call that runs after a later request changed the same key: it overwrites that change.
//! - An update whose commit was dropped while it was stored, and is committed again: it may count twice.
//! - The two responses to a double submit: the browser keeps the cookie that arrives last, even if its
//!   session was replaced. The removal of a cookie behaves in the same way.
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
mod deferred;
mod double;
mod given_up;
mod guest;
mod key;
mod model;
mod near;
mod near_rules;
mod near_walks;
mod node;
mod parallel;
mod props;
mod realm;
mod rotation;
mod rules;
mod scene;
mod session_set;
mod sign_in;
mod tokens;
mod turns;
mod unused;
mod world;
