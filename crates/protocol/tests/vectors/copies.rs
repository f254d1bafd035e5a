//! The project keeps a copy of the vectors, so that a clone is whole. Where the originals lie beside
//! it, the two must be the same.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::support::directory;

fn read(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).expect("a readable directory");
    entries
        .map(|entry| {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().expect("an entry has a name").to_string_lossy().into();
            (name, fs::read(&path).expect("a readable file"))
        })
        .collect()
}

#[test]
fn the_copy_equals_the_originals() {
    let copy = read(&directory());
    assert_eq!(copy.len(), 8, "seven files and what they are");

    let originals: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../../shared/vectors"].iter().collect();
    if !originals.is_dir() {
        return;
    }
    let originals = read(&originals);
    let differ: Vec<&String> = originals
        .keys()
        .chain(copy.keys().filter(|name| !originals.contains_key(*name)))
        .filter(|name| originals.get(*name) != copy.get(*name))
        .collect();
    assert!(differ.is_empty(), "testdata/vectors differs from the originals in {differ:?}");
}
