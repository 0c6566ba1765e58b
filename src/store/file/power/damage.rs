//! What damage in the journal looks like, and what a loss of power looks like.

use std::io;

use super::{
    super::{
        journal::{self, Journal, Replay},
        medium::Medium,
        storage::{HEADER, START},
    },
    drive::{Drive, Random, number},
};

const BLOCK: usize = 4_096;

/// Records of one block each.
const RECORDS: usize = 5;

/// A file with two pages of a database, and its journal. The other half was in use before.
fn begun() -> (Drive, Journal) {
    let drive = Drive::new(vec![0; number(START) + 2 * BLOCK], &mut Random(1));
    let mut journal = Journal::after(&mut Replay::default());
    journal.begin(&drive).unwrap();
    journal.add(&drive, b"before").unwrap();
    journal.begin(&drive).unwrap();
    (drive, journal)
}

fn written() -> Drive {
    let (drive, mut journal) = begun();
    for _ in 1..RECORDS {
        journal.add(&drive, b"changes").unwrap();
    }
    drive
}

/// How many changes wait in the journal of this file.
fn waiting(drive: &Drive) -> io::Result<usize> {
    let waiting = Journal::after(&mut journal::read(drive)?).waiting();
    Ok(journal::changes(&waiting, None).count())
}

/// Changes a byte of a record.
fn damage(drive: &Drive, record: usize, byte: usize) {
    let at = HEADER + (record * BLOCK + byte) as u64;
    let mut bytes = [0];
    drive.read(at, &mut bytes).unwrap();
    drive.write(at, &[bytes[0] ^ 1]).unwrap();
}

// T75
#[test]
fn a_damaged_record_with_others_after_it_is_reported_and_one_at_the_end_was_never_whole() {
    assert_eq!(waiting(&written()).unwrap(), RECORDS);

    for record in 0..RECORDS {
        // Its checksum, its length, the epoch, its number, and what it has.
        for byte in [0, 4, 7, 8, 15, 16, 23, 24, 37] {
            let drive = written();
            damage(&drive, record, byte);

            let found = waiting(&drive).map_err(|error| error.kind());

            let is_last = record == RECORDS - 1;
            let wanted = match is_last {
                true => Ok(RECORDS - 1),
                false => Err(io::ErrorKind::InvalidData),
            };
            assert_eq!(found, wanted, "byte {byte} of record {record}");
        }
    }
}

// T75
#[test]
fn a_page_in_the_journal_that_is_not_in_the_file_is_damage() {
    let (drive, mut journal) = begun();
    journal.note(BLOCK as u64, &[1; BLOCK]);
    journal.sync(&drive).unwrap();
    assert_eq!(waiting(&drive).unwrap(), 1);

    drive.set_len(START + BLOCK as u64).unwrap();

    let found = waiting(&drive).map_err(|error| error.kind());
    assert_eq!(found, Err(io::ErrorKind::InvalidData));
}
