//! The file that is read: where it may be, its format, its bytes, counted.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take};
use std::path::{Component, Path, PathBuf};

use super::csv::Dialect;
use super::table::Table;
use crate::regular;
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
    /// Opens the file that `source` names, below `data_dir`.
    pub fn open(source: &str, data_dir: Option<&Path>) -> Result<Self, Failure> {
        let path = locate(source, data_dir)?;
        let unreadable = |cause: io::Error| Failure::while_doing(format!("read source {source}"), cause);
        // Every link was followed already, so one that stands there now was put there to lead elsewhere.
        let file = regular::open(&path).map_err(|cause| match cause.kind() {
            io::ErrorKind::InvalidInput => Failure::of("source", format!("{source} is not a regular file")),
            _ => unreadable(cause),
        })?;
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

/// The path that a source names. It must lead below the data folder, by its words and, once links are followed, in fact.
/// Without a data folder there is no source: whoever may post a job would name the credentials that lie in this pod, and
/// read them in the names of the profile's columns.
fn locate(source: &str, data_dir: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some((scheme, _)) = source.split_once("://") {
        let advice = format!("a {scheme} source cannot be read yet; give the path of a file");
        return Err(Failure::of("source", advice));
    }
    if source.is_empty() || source.contains('\0') {
        return Err(Failure::of("source", "must be the path of a file"));
    }
    let Some(root) = data_dir else {
        let advice = "cannot be read without a data folder; set TALLYMAN_DATA_DIR, in the chart the queue's dataDir";
        return Err(Failure::of("source", advice));
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
    use std::fs;
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
        symlink("../..", data.join("sub/up")).unwrap(); // a folder outside, by a link whose words stay inside
        let absolute = data.join("in.csv").display().to_string();
        let secret = home.path().join("secret.csv").display().to_string();
        for source in ["in.csv", "./sub/../in.csv", "sub/inner.csv", &absolute] {
            Source::open(source, Some(&data)).unwrap();
        }
        for source in [
            "../secret.csv",
            "link.csv",
            "sub/up/secret.csv",
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
    }

    #[test]
    fn without_a_data_folder_no_source_is_read() {
        let home = tempfile::tempdir().unwrap();
        let there = home.path().join("in.csv").display().to_string();
        fs::write(&there, "a\n").unwrap();
        for source in [there.as_str(), "in.csv", "/nowhere/at/all.csv"] {
            let advice =
                "cannot be read without a data folder; set TALLYMAN_DATA_DIR, in the chart the queue's dataDir";
            assert_eq!(
                Source::open(source, None).unwrap_err(),
                Failure::Permanent(format!("source: {advice}")),
                "{source}"
            );
        }
    }

    #[test]
    fn what_is_missing_may_come_and_what_is_no_file_will_not_become_one() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Source::open("missing.csv", Some(folder.path())).unwrap_err();
        assert!(matches!(missing, Failure::Retryable(_)), "{missing}");
        let pipe = folder.path().join("pipe.csv");
        let mkfifo = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(mkfifo.unwrap().success());
        for (source, data_dir) in [
            (".", folder.path()),
            ("pipe.csv", folder.path()),
            ("zero", Path::new("/dev")),
            ("", folder.path()),
            ("a\0b", folder.path()),
            ("s3://bucket/key.csv", folder.path()),
            ("https://a/b.csv", folder.path()),
        ] {
            let failure = Source::open(source, Some(data_dir)).unwrap_err();
            assert!(matches!(failure, Failure::Permanent(_)), "{failure}");
            assert!(failure.to_string().starts_with("source: "), "{failure}");
        }
    }
}
