//! The files of the house.

use std::{fs, path::Path};

#[derive(Clone)]
pub(crate) struct File {
    /// From the crate's folder: `src/lib.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn too_long(&self, most: usize) -> Option<String> {
        let lines = self.text.lines().count();
        (lines > most).then(|| format!("{}: {lines} lines, at most {most}", self.path))
    }
}

/// All files of this kind under a folder of the crate, sorted; none if there is no such folder.
/// What a tool built there is not ours.
pub(crate) fn under(folder: &str, extension: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(root, &root.join(folder), extension, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(root: &Path, folder: &Path, extension: &str, files: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            collect(root, &path, extension, files);
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(File {
                path: path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
                text: fs::read_to_string(&path).unwrap(),
            });
        }
    }
}

#[test]
fn one_line_too_many_is_a_complaint() {
    let file = |text: &str| File {
        path: "src/long.rs".to_owned(),
        text: text.to_owned(),
    };

    assert_eq!(file("1\n2\n").too_long(2), None);
    assert_eq!(
        file("1\n2\n3\n").too_long(2).unwrap(),
        "src/long.rs: 3 lines, at most 2"
    );
}

#[test]
fn files_are_found_in_folders_within_folders() {
    let found = under("src", "rs");

    assert!(found.iter().any(|file| file.path == "src/lib.rs"));
    assert!(
        found
            .iter()
            .any(|file| file.path == "src/store/memory/mod.rs")
    );
}
