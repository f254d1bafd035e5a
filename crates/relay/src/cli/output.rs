//! What commands print: lines for people, or one JSON value.

use clap::Args;
use serde_json::Value;

use super::settings::Settings;

/// What every admin command takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) settings: Settings,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Common {
    /// Prints `value` as JSON, or what `text` makes of it.
    pub(crate) fn print(&self, value: &Value, text: impl FnOnce() -> String) {
        if self.json {
            println!("{value}");
        } else {
            println!("{}", text());
        }
    }
}

/// Seconds since 1970 as people read them, in UTC.
pub(crate) fn date(seconds: u64) -> String {
    // Days to a civil date, by eras of 400 years of 146,097 days that begin in March.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let (year, time) = (era * 400 + year + carry, seconds % 86_400);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", time / 3_600, time / 60 % 60, time % 60)
}

/// The same for a time that may not be.
pub(crate) fn date_or(seconds: Option<u64>, otherwise: &str) -> String {
    seconds.map_or_else(|| otherwise.to_owned(), date)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_civil() {
        assert_eq!(date(0), "1970-01-01 00:00:00");
        assert_eq!(date(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(date(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(date(1_735_689_599), "2024-12-31 23:59:59");
        assert_eq!(date(4_102_444_800), "2100-01-01 00:00:00");
    }
}
