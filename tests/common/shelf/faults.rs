//! What a storage does wrong.

use tower_user_sessions::store::StoreErrorKind;

/// What the next write that changes more than activity does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// None.
    Runs,
    /// It runs, and its answer is lost.
    AnswerLost,
    /// It does not run, and nobody knows that.
    Vanishes,
    /// It reports that nothing ran.
    NothingRan(StoreErrorKind),
    /// It runs when the next one of the same set comes, before that. Its answer is lost.
    RunsLater,
    /// It runs after this many milliseconds of the clock, whatever its latest moment.
    Slow(u64),
}

/// A rule of the storage contract that it breaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Broken {
    #[default]
    Nothing,
    /// Writes whatever version is stored.
    WritesAnyway,
    /// Writes over a set although none is expected.
    WritesOverWhenAbsentIsExpected,
    /// Counts versions in the row, so that a set that was made again has an old one.
    CountsVersions,
    /// Compares in one step and writes in another.
    ComparesFirst,
    /// Head and part are of two writes.
    ReadsPartLater,
    /// Forgets to write parts.
    KeepsOldParts,
    /// Deletes the parts of other sessions.
    DropsOtherParts,
    /// Each session with data has those of the same session.
    ReadsPartOfAnother,
    /// A set that is made again has the parts of before.
    KeepsPartsOfDeletedSets,
    /// Writes the head, and the parts in a second step.
    WritesHeadFirst,
    /// Writes after the latest moment, and says that it was before.
    HidesItsTime,
}
