//! The file that is read: where it may be, its format, its bytes, counted.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Take};
use std::path::{Component, Path, PathBuf};

use super::csv::Dialect;
use super::table::Table;
use crate::work::failure::Failure;
use crate::work::fields::Fields;
use crate::work::progress::Progress;

const BUFFER: usize = 256 * 1024;

/// What some programs write in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How the bytes become rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, or separated by something else.
    Csv(Dialect),
    /// One JSON object on each line.
    Ndjson,
}

impl Format {
    /// Takes the format from the payload, else from the extension of the source.
    pub fn take(source: &str, fields: &mut Fields) -> Result<Self, Failure> {
        let extension = Path::new(source)
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        let extension = extension.to_ascii_lowercase();
        let named = fields.text("format")?;
        match named.as_deref().unwrap_or(&extension) {
            "csv" => Ok(Self::Csv(Dialect::take(fields, b',')?)),
            "tsv" if named.is_none() => Ok(Self::Csv(Dialect::take(fields, b'\t')?)),
            "ndjson" => Ok(Self::Ndjson),
            "jsonl" if named.is_none() => Ok(Self::Ndjson),
            _ if named.is_some() => Err(Failure::of("format", "must be csv or ndjson")),
            _ => Err(Failure::of(
                "format",
                "cannot be told from the source's extension; give csv or ndjson",
            )),
        }
    }

    /// The name of the format in a payload and in a result.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Csv(_) => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

/// An open file, read from its beginning to where its end was when it was opened.
#[derive(Debug)]
pub struct Source {
    input: BufReader<Take<File>>,
    total: u64,
    done: u64,
}

impl Source {
    /// Opens the file that `source` names, below `data_dir` if there is one.
    pub fn open(source: &str, data_dir: Option<&Path>) -> Result<Self, Failure> {
        let path = locate(source, data_dir)?;
        let unreadable = |cause: io::Error| Failure::while_doing(format!("read source {source}"), cause);
        // Asked before opening, since opening a named pipe would wait for its writer.
        let about = fs::metadata(&path).map_err(unreadable)?;
        if !about.is_file() {
            return Err(Failure::of("source", format!("{source} is not a regular file")));
        }
        let file = File::open(&path).map_err(unreadable)?;
        let total = file.metadata().map_err(unreadable)?.len();
        let mut opened = Self {
            input: BufReader::with_capacity(BUFFER, file.take(total)),
            total,
            done: 0,
        };
        if opened.chunk()?.starts_with(BYTE_ORDER_MARK) {
            opened.consume(BYTE_ORDER_MARK.len());
        }
        Ok(opened)
    }

    /// The size of the file when it was opened.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The bytes that come next; none at the end.
    pub fn chunk(&mut self) -> Result<&[u8], Failure> {
        self.input
            .fill_buf()
            .map_err(|e| Failure::while_doing("read the source", e))
    }

    /// Goes past bytes that were read.
    pub fn consume(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.done += bytes as u64;
    }

    /// Says how far the reading is.
    pub fn tell(&self, table: &Table, progress: &mut Progress) {
        progress.at(self.done, self.total, format_args!("bytes, {} rows", table.rows()));
    }
}

/// The path that a source names. With a data folder it must lead below it, by its words and, once links are followed, in
/// fact; without one any file that the process may read is allowed.
fn locate(source: &str, data_dir: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some((scheme, _)) = source.split_once("://") {
        let advice = format!("a {scheme} source cannot be read yet; give the path of a file");
        return Err(Failure::of("source", advice));
    }
    if source.is_empty() || source.contains('\0') {
        return Err(Failure::of("source", "must be the path of a file"));
    }
    let Some(root) = data_dir else {
        return Ok(PathBuf::from(source));
    };
    let outside = || Failure::of("source", format!("{source} is not below the data folder"));
    let real = |path: &Path| {
        path.canonicalize()
            .map_err(|e| Failure::while_doing(format!("find {}", path.display()), e))
    };
    let real_root = real(root)?;
    let wanted = plain(&root.join(source));
    if !wanted.starts_with(plain(root)) && !wanted.starts_with(&real_root) {
        return Err(outside());
    }
    let found = real(&wanted)?;
    if found.starts_with(&real_root) {
        Ok(found)
    } else {
        Err(outside())
    }
}

/// The path with its `.` and `..` worked out by the words alone, so that a path that leaves the data folder is refused
/// for good even where nothing exists.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_format_is_told_or_read_from_the_extension() {
        let csv = |delimiter| {
            Format::Csv(Dialect {
                delimiter,
                header: true,
            })
        };
        let table = [
            ("a.csv", "{}", Some(csv(b','))),
            ("a.CSV", "{}", Some(csv(b','))),
            ("a.tsv", "{}", Some(csv(b'\t'))),
            ("a.tsv", r#"{"delimiter":";"}"#, Some(csv(b';'))),
            ("a.ndjson", "{}", Some(Format::Ndjson)),
            ("a.jsonl", "{}", Some(Format::Ndjson)),
            ("a.txt", r#"{"format":"csv"}"#, Some(csv(b','))),
            ("a.csv", r#"{"format":"ndjson"}"#, Some(Format::Ndjson)),
            ("a.txt", "{}", None),
            ("csv", "{}", None),
            ("a.csv.gz", "{}", None),
            ("a.csv", r#"{"format":"CSV"}"#, None),
        ];
        for (source, payload, want) in table {
            let mut fields = Fields::parse(payload.as_bytes()).unwrap();
            assert_eq!(Format::take(source, &mut fields).ok(), want, "{source} {payload}");
        }
    }

    #[test]
    fn a_source_stays_below_the_data_folder() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        fs::create_dir_all(data.join("sub")).unwrap();
        fs::write(home.path().join("secret.csv"), "a\n").unwrap();
        fs::write(data.join("in.csv"), "a\n").unwrap();
        symlink(home.path().join("secret.csv"), data.join("link.csv")).unwrap();
        symlink(data.join("in.csv"), data.join("sub/inner.csv")).unwrap();
        let absolute = data.join("in.csv").display().to_string();
        let secret = home.path().join("secret.csv").display().to_string();
        for source in ["in.csv", "./sub/../in.csv", "sub/inner.csv", &absolute] {
            Source::open(source, Some(&data)).unwrap();
        }
        for source in [
            "../secret.csv",
            "link.csv",
            "sub/../../secret.csv",
            &secret,
            "/etc/passwd",
            "../nothing.csv",
        ] {
            let failure = Source::open(source, Some(&data)).unwrap_err();
            assert_eq!(
                failure,
                Failure::Permanent(format!("source: {source} is not below the data folder"))
            );
        }
        Source::open(&secret, None).unwrap();
    }

    #[test]
    fn what_is_missing_may_come_and_what_is_no_file_will_not_become_one() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Source::open("missing.csv", Some(folder.path())).unwrap_err();
        assert!(matches!(missing, Failure::Retryable(_)), "{missing}");
        for source in [
            folder.path().to_str().unwrap(),
            "/dev/zero",
            "",
            "a\0b",
            "s3://bucket/key.csv",
            "https://a/b.csv",
        ] {
            let failure = Source::open(source, None).unwrap_err();
            assert!(matches!(failure, Failure::Permanent(_)), "{failure}");
            assert!(failure.to_string().starts_with("source: "), "{failure}");
        }
    }
}
