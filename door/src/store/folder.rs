//! A store in a folder. Writes are atomic (a temporary file is renamed) and conditional (under a lock file), so that
//! several processes of one machine can share it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Condition, Listed, StoreError, Stored};
use crate::clock::Time;

/// The file whose lock guards all writes.
const LOCK: &str = ".lock";
/// The ending of files that are being written.
const UNFINISHED: &str = ".unfinished";

/// A folder of objects.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn path(&self, key: &str) -> PathBuf {
        key.split('/').fold(self.root.clone(), |path, part| path.join(part))
    }

    pub(super) fn get(&self, key: &str, most: usize) -> Result<Option<Stored>, StoreError> {
        let path = self.path(key);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(problem) => return Err(io_error(&path, problem)),
        };
        let written = file.metadata().and_then(|facts| facts.modified()).ok().map(Time::from);
        let mut body = Vec::new();
        file.take((most as u64).saturating_add(1))
            .read_to_end(&mut body)
            .map_err(|problem| io_error(&path, problem))?;
        if body.len() > most {
            return Err(StoreError::TooLarge { key: key.to_owned(), most });
        }
        let version = version(&body);
        Ok(Some(Stored { body, version, written }))
    }

    pub(super) fn put(&self, key: &str, body: &[u8], condition: &Condition) -> Result<String, StoreError> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(|problem| io_error(folder, problem))?;
        let _lock = self.lock()?;
        self.check(key, condition)?;
        let unfinished = path.with_extension(format!("json{UNFINISHED}"));
        write_all(&unfinished, body).map_err(|problem| io_error(&unfinished, problem))?;
        fs::rename(&unfinished, &path).map_err(|problem| io_error(&path, problem))?;
        Ok(version(body))
    }

    pub(super) fn delete(&self, key: &str, version: &str) -> Result<(), StoreError> {
        let path = self.path(key);
        if !path.exists() {
            return Err(StoreError::Changed { key: key.to_owned() });
        }
        let _lock = self.lock()?;
        self.check(key, &Condition::Unchanged(version.to_owned()))?;
        fs::remove_file(&path).map_err(|problem| io_error(&path, problem))
    }

    pub(super) fn is_there(&self) -> bool {
        self.root.is_dir()
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let mut objects = Vec::new();
        self.collect(prefix, &mut objects)?;
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    /// The keys in one folder and in those below it. `prefix` is empty or ends in a slash.
    fn collect(&self, prefix: &str, objects: &mut Vec<Listed>) -> Result<(), StoreError> {
        let folder = self.path(prefix.trim_end_matches('/'));
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(problem) => return Err(io_error(&folder, problem)),
        };
        for entry in entries {
            let entry = entry.map_err(|problem| io_error(&folder, problem))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(|problem| io_error(&entry.path(), problem))?;
            if kind.is_dir() {
                self.collect(&format!("{prefix}{name}/"), objects)?;
            } else if name != LOCK && !name.ends_with(UNFINISHED) {
                let written = entry.metadata().and_then(|facts| facts.modified()).ok().map(Time::from);
                objects.push(Listed { key: format!("{prefix}{name}"), version: None, written });
            }
        }
        Ok(())
    }

    fn check(&self, key: &str, condition: &Condition) -> Result<(), StoreError> {
        // Whatever its size: the condition is about what is there.
        let found = self.get(key, usize::MAX)?.map(|stored| stored.version);
        let holds = match condition {
            Condition::New => found.is_none(),
            Condition::Unchanged(version) => found.as_ref() == Some(version),
        };
        if holds { Ok(()) } else { Err(StoreError::Changed { key: key.to_owned() }) }
    }

    /// Held until the file is dropped.
    fn lock(&self) -> Result<File, StoreError> {
        let path = self.root.join(LOCK);
        let file = File::create(&path).map_err(|problem| io_error(&path, problem))?;
        file.lock().map_err(|problem| io_error(&path, problem))?;
        Ok(file)
    }
}

fn write_all(path: &Path, body: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(body)?;
    file.sync_all()
}

fn version(body: &[u8]) -> String {
    Sha256::digest(body).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn io_error(path: &Path, problem: io::Error) -> StoreError {
    StoreError::Io { path: path.display().to_string(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> Folder {
        let root = std::env::temp_dir().join(format!("coalmine-store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        Folder::new(&root)
    }

    #[test]
    fn writes_depend_on_what_is_there() {
        let folder = folder("conditions");
        assert_eq!(folder.get("workers/a.json", 9).unwrap(), None);
        let first = folder.put("workers/a.json", b"1", &Condition::New).unwrap();
        assert!(matches!(folder.put("workers/a.json", b"2", &Condition::New), Err(StoreError::Changed { .. })));
        let second = folder.put("workers/a.json", b"2", &Condition::Unchanged(first.clone())).unwrap();
        assert!(matches!(
            folder.put("workers/a.json", b"3", &Condition::Unchanged(first.clone())),
            Err(StoreError::Changed { .. })
        ));
        assert!(matches!(folder.delete("workers/a.json", &first), Err(StoreError::Changed { .. })));
        let listed = folder.list("workers/").unwrap();
        assert_eq!(listed.iter().map(|listed| listed.key.as_str()).collect::<Vec<_>>(), ["workers/a.json"]);
        assert!(listed[0].written.is_some());
        folder.delete("workers/a.json", &second).unwrap();
        assert!(matches!(folder.delete("workers/a.json", &second), Err(StoreError::Changed { .. })));
        assert_eq!(folder.list("workers/").unwrap(), Vec::new());
    }

    #[test]
    fn an_object_that_is_too_large_is_not_read() {
        let folder = folder("large");
        folder.put("workers/a.json", b"x", &Condition::New).unwrap();
        fs::write(folder.path("workers/a.json"), b"0123456789").unwrap();
        assert!(matches!(folder.get("workers/a.json", 9), Err(StoreError::TooLarge { .. })));
    }
}
