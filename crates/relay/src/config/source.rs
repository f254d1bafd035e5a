//! Where settings come from.

use std::{fs, path::Path};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{ConfigError, ENV_PREFIX};

/// Some settings, and what to call the place they came from.
#[derive(Clone, Debug)]
pub struct Source {
    name: String,
    table: Table,
}

impl Source {
    /// Settings from flags; `None` values are left out. A key may have dots.
    ///
    /// # Errors
    ///
    /// When a key is both a value and a section.
    pub fn flags(flags: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Result<Self, ConfigError> {
        let mut source = Self { name: "flags".to_owned(), table: Table::new() };
        for (key, value) in flags {
            if let Some(value) = value {
                source.set(&key.split('.').collect::<Vec<_>>(), Value::String(value))?;
            }
        }
        Ok(source)
    }

    /// Adds `key=value` as written behind `--set`.
    ///
    /// # Errors
    ///
    /// When there is no `=`, or the key is both a value and a section.
    pub fn set_pair(&mut self, pair: &str) -> Result<(), ConfigError> {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| ConfigError::new(&self.name, format!("--set {pair:?} is not key=value")))?;
        self.set(&key.split('.').collect::<Vec<_>>(), scalar(value))
    }

    /// What to call it in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn set(&mut self, path: &[&str], value: Value) -> Result<(), ConfigError> {
        let (last, sections) = path.split_last().expect("a split always gives something");
        let mut table = &mut self.table;
        for section in sections {
            let entry = table.entry((*section).to_owned()).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(inner) = entry else {
                return Err(ConfigError::new(&self.name, format!("{section} is a value and a section")));
            };
            table = inner;
        }
        table.insert((*last).to_owned(), value);
        Ok(())
    }

    /// Settings of no source.
    pub(super) fn empty() -> Self {
        Self { name: "configuration".to_owned(), table: Table::new() }
    }

    /// Puts another source over this one.
    pub(super) fn merge(&mut self, over: &Self) {
        merge(&mut self.table, &over.table);
    }

    /// Reads the settings as `T`, which knows every key there is.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        read(&self.name, self.table.clone())
    }

    /// The same for one source of several: a section may lack keys that another source has.
    pub(super) fn read_part<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        match self.read() {
            Err(error) if error.to_string().contains("missing field") => {
                // What is there is checked when the sources are together.
                let partial = |section: &Value| matches!(section, Value::Table(_));
                let rest = self.table.iter().filter(|(_, value)| !partial(value));
                read(&self.name, rest.map(|(key, value)| (key.clone(), value.clone())).collect())
            }
            result => result,
        }
    }
}

fn read<T: DeserializeOwned>(name: &str, table: Table) -> Result<T, ConfigError> {
    T::deserialize(table).map_err(|error| {
        // The library's message has lines; a fault is told in one.
        let message = error.to_string();
        let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        ConfigError::new(name, lines.join(", "))
    })
}

fn merge(below: &mut Table, over: &Table) {
    for (key, value) in over {
        match (below.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(over)) => merge(below, over),
            _ => {
                below.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Reads a TOML file.
///
/// # Errors
///
/// When it cannot be read or is no TOML.
pub fn read_file(path: &Path) -> Result<Source, ConfigError> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| ConfigError::new(&name, error.to_string()))?;
    let table = text.parse::<Table>().map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
        ConfigError::new(&name, format!("line {line}: {}", error.message()))
    })?;
    Ok(Source { name, table })
}

/// Reads the variables whose names begin with [`ENV_PREFIX`]: the key in capitals, `__` between a
/// section and its key.
///
/// # Errors
///
/// When a name or value is not UTF-8, or a key is both a value and a section.
pub fn environment(
    variables: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> Result<Source, ConfigError> {
    let mut source = Source { name: "environment".to_owned(), table: Table::new() };
    for (name, value) in variables {
        let Some(name) = name.to_str() else {
            continue;
        };
        let Some(key) = name.strip_prefix(ENV_PREFIX) else {
            continue;
        };
        let value = value.to_str().ok_or_else(|| ConfigError::new(name, "is not UTF-8"))?;
        let key = key.to_ascii_lowercase();
        source.set(&key.split("__").collect::<Vec<_>>(), scalar(value))?;
    }
    Ok(source)
}

/// A value as it is written in a shell: a number, a truth value, a list, or else a string.
fn scalar(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    match parsed {
        Some(
            value @ (Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Array(_) | Value::String(_)),
        ) => value,
        _ => Value::String(text.to_owned()),
    }
}
