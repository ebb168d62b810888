//! Whose journey: made up from a seed, or a person's own files.

use super::{DemoError, Options};
use domain::catalog::Objective;
use domain::channel::Source;
use domain::phone::Phone;
use domain::text::PersonName;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

/// The shop file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShopFile {
    owner: Owner,
    shop: Shop,
    /// `NEW_CUSTOMERS` when left out.
    objective: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    email: Option<String>,
    password: Option<String>,
    name: String,
    phone: String,
    business_number: String,
    /// A string or a date of TOML.
    opened_on: toml::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shop {
    name: String,
    industry: String,
    region: String,
    address: Option<String>,
}

/// A customer.
#[derive(Clone, Debug)]
pub(super) struct Customer {
    pub(super) name: String,
    pub(super) phone: String,
    pub(super) channel: String,
}

/// Signup body and objective.
pub(super) struct Story {
    pub(super) signup: Value,
    pub(super) objective: String,
}

/// A checksum-valid business number from nine digits.
fn business_number(random: &mut StdRng) -> String {
    loop {
        let digits = format!(
            "{:03}{:02}{:04}",
            random.random_range(101..900),
            random.random_range(1..80),
            random.random_range(1..9999)
        );
        for check in 0..10 {
            let number = format!("{digits}{check}");
            if domain::business_number::BusinessNumber::parse(&number).is_ok() {
                return number;
            }
        }
    }
}

pub(super) fn story(options: &Options) -> Result<Story, DemoError> {
    // A second run against the same server is another owner.
    let mut random = StdRng::from_os_rng();
    let email = format!("demo-{}@madang.example", uuid::Uuid::now_v7().simple());
    let password = format!("demo-{:016x}", random.random::<u64>());
    let Some(path) = &options.shop else {
        return Ok(Story {
            signup: json!({
                "email": email, "password": password, "name": "김마당", "phone": "010-2345-6789",
                "businessNumber": business_number(&mut random), "openedOn": "2020-03-02",
                "store": {"name": "마당커피", "industry": "CAFE", "region": "서울 마포구", "address": "서울 마포구 월드컵로 1"},
            }),
            objective: "NEW_CUSTOMERS".into(),
        });
    };
    let text = read_text("--shop", path)?;
    let file: ShopFile = toml::from_str(&text)
        .map_err(|e| format!("--shop {}: {}", path.display(), crate::config::toml_problem(&text, &e)))?;
    let opened_on = file.owner.opened_on.as_str().map_or_else(|| file.owner.opened_on.to_string(), str::to_owned);
    let objective = file.objective.unwrap_or_else(|| "NEW_CUSTOMERS".into());
    if Objective::parse(&objective).is_none() {
        return Err(format!(
            "--shop {}: objective {objective:?} is none of NEW_CUSTOMERS, REVISIT, SALES, AWARENESS",
            path.display()
        )
        .into());
    }
    Ok(Story {
        signup: json!({
            "email": file.owner.email.unwrap_or(email), "password": file.owner.password.unwrap_or(password),
            "name": file.owner.name, "phone": file.owner.phone, "businessNumber": file.owner.business_number, "openedOn": opened_on,
            "store": {"name": file.shop.name, "industry": file.shop.industry, "region": file.shop.region, "address": file.shop.address},
        }),
        objective,
    })
}

const FAMILY: &[&str] = &["김", "이", "박", "최", "정", "강", "조", "윤", "장", "임"];
const GIVEN: &[&str] =
    &["서연", "민준", "지우", "하은", "도윤", "서준", "예린", "지호", "수아", "현우", "은지", "태양"];

/// Customers of a seed, each with a phone of their own, from every source.
pub(super) fn made_up(options: &Options) -> Vec<Customer> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let first: u32 = random.random_range(0..90_000_000);
    (0..options.customers)
        .map(|i| {
            let number = (first as usize + i * 7) % 100_000_000;
            let spelled = match i % 4 {
                0 => format!("010-{:04}-{:04}", number / 10_000, number % 10_000),
                1 => format!("010{number:08}"),
                2 => format!("+82 10 {:04} {:04}", number / 10_000, number % 10_000),
                _ => format!("010 {:04} {:04}", number / 10_000, number % 10_000),
            };
            let name = format!(
                "{}{}",
                FAMILY[random.random_range(0..FAMILY.len())],
                GIVEN[random.random_range(0..GIVEN.len())]
            );
            Customer {
                name,
                phone: spelled,
                channel: Source::ALL[random.random_range(0..Source::ALL.len())].code().into(),
            }
        })
        .collect()
}

/// A text file as people save it: UTF-8, what Korean Windows calls ANSI (CP949), or what Excel calls Unicode (UTF-16).
fn text_of(bytes: &[u8]) -> Option<String> {
    let text = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            let utf16 = if bytes[0] == 0xff { encoding_rs::UTF_16LE } else { encoding_rs::UTF_16BE };
            utf16.decode_without_bom_handling_and_without_replacement(&bytes[2..])?
        }
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => encoding_rs::EUC_KR.decode_without_bom_handling_and_without_replacement(bytes)?,
        },
    };
    Some(text.trim_start_matches('\u{feff}').to_owned())
}

/// The text of a file that a flag names.
fn read_text(flag: &str, path: &Path) -> Result<String, DemoError> {
    let bytes = std::fs::read(path).map_err(|e| format!("{flag} {}: {e}", path.display()))?;
    text_of(&bytes).ok_or_else(|| format!("{flag} {}: neither UTF-8 nor CP949", path.display()).into())
}

/// Customers of a file; every line that is not one of them is reported with its number.
pub(super) fn from_file(path: &Path) -> Result<Vec<Customer>, DemoError> {
    let import = import(&read_text("--entries", path)?);
    for (line, notice) in &import.notices {
        eprintln!("{}:{line}: {notice}", path.display());
    }
    if import.customers.is_empty() {
        return Err(format!("--entries {}: no usable line", path.display()).into());
    }
    Ok(import.customers)
}

/// What a text of entries holds.
#[derive(Debug, Default)]
struct Import {
    customers: Vec<Customer>,
    /// What is said of each other line that is not empty, by its number.
    notices: Vec<(usize, String)>,
}

/// Reads lines of name, phone and channel, separated by commas, semicolons or tabs. A line ends where an editor ends it (CR,
/// LF or both), in quotes too: no name or phone has two lines.
fn import(text: &str) -> Import {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines = text.split('\n').zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let separator = separator(&text);
    let mut phones = HashMap::new();
    let mut import = Import::default();
    for (place, (line, number)) in lines.enumerate() {
        let fields = match fields(line, separator) {
            Ok(fields) => fields,
            Err(problem) => {
                import.notices.push((number, format!("left out, {problem}")));
                continue;
            }
        };
        if place == 0 && is_heading(line) {
            import.notices.push((number, "read as the heading".into()));
            continue;
        }
        match customer(&fields, number, &mut phones) {
            Ok(customer) => import.customers.push(customer),
            Err(problem) => import.notices.push((number, format!("left out, {problem}"))),
        }
    }
    import
}

/// What separates the fields: the most frequent of what spreadsheets write, a comma before others. What stands in quotes is
/// part of a name.
fn separator(text: &str) -> u8 {
    let outside = |line: &str| line.split('"').step_by(2).collect::<String>();
    let bare: String = text.lines().map(outside).collect();
    let count = |separator: &u8| bare.bytes().filter(|byte| byte == separator).count();
    [b';', b'\t', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// The fields of one line.
fn fields(line: &str, separator: u8) -> Result<Vec<String>, &'static str> {
    // A quote that is not closed takes the next line for its own.
    let lines = format!("{line}\nend");
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(separator)
        .from_reader(lines.as_bytes());
    let records: Vec<csv::StringRecord> = reader.records().filter_map(Result::ok).collect();
    match records.as_slice() {
        [fields, _] => Ok(fields.iter().map(str::to_owned).collect()),
        _ => Err("a quote is not closed on its line"),
    }
}

/// Is it a heading rather than an entry? It names what a column holds, and no phone.
fn is_heading(line: &str) -> bool {
    const COLUMNS: [&str; 15] = [
        "이름",
        "성명",
        "성함",
        "고객",
        "응모",
        "전화",
        "휴대",
        "핸드폰",
        "연락처",
        "name",
        "phone",
        "mobile",
        "cell",
        "tel",
        "contact",
    ];
    let line = line.to_lowercase();
    !line.contains(char::is_numeric) && COLUMNS.iter().any(|column| line.contains(column))
}

/// The customer of a line, or why it is none. `phones` has the line of each phone so far.
fn customer(fields: &[String], line: usize, phones: &mut HashMap<String, usize>) -> Result<Customer, String> {
    let field = |i: usize| fields.get(i).cloned().unwrap_or_default();
    let (name, phone, channel) = (field(0), field(1), field(2));
    let channel = if channel.is_empty() { "DIRECT".to_owned() } else { channel.to_uppercase() };
    PersonName::parse(&name).map_err(|e| format!("the name is unusable ({e})"))?;
    let parsed = Phone::parse(&phone).map_err(|_| "the phone is not 010 and eight digits")?;
    Source::parse(&channel).ok_or("the channel is unknown")?;
    match phones.entry(parsed.expose().to_owned()) {
        Entry::Occupied(first) => Err(format!("the phone is that of line {}", first.get())),
        Entry::Vacant(new) => {
            new.insert(line);
            Ok(Customer { name, phone, channel })
        }
    }
}

#[cfg(test)]
mod tests;
