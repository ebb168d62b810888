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
    let text = std::fs::read_to_string(path).map_err(|e| format!("--shop {}: {e}", path.display()))?;
    let file: ShopFile = toml::from_str(&text).map_err(|e| format!("--shop {}: {e}", path.display()))?;
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

/// A text file as people save it: UTF-8, or what Korean Windows calls ANSI (CP949); lines end in LF.
fn text_of(bytes: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(_) => encoding_rs::EUC_KR.decode_without_bom_handling_and_without_replacement(bytes)?.into_owned(),
    };
    Some(text.replace("\r\n", "\n"))
}

/// Customers of a file; bad lines are reported with their number and left out.
pub(super) fn from_file(path: &Path) -> Result<Vec<Customer>, DemoError> {
    let bytes = std::fs::read(path).map_err(|e| format!("--entries {}: {e}", path.display()))?;
    let text = text_of(&bytes).ok_or_else(|| format!("--entries {}: neither UTF-8 nor CP949", path.display()))?;
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut customers = Vec::new();
    let mut phones = std::collections::HashMap::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                let line = e.position().map_or(0, csv::Position::line);
                eprintln!("{}:{line}: not a line of CSV: {e}", path.display());
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let field = |i: usize| record.get(i).unwrap_or_default().to_owned();
        let heading = line == 1 && !field(1).contains(|c: char| c.is_ascii_digit());
        let (name, phone, channel) = (field(0), field(1), field(2));
        let channel = if channel.is_empty() { "DIRECT".to_owned() } else { channel.to_uppercase() };
        let problem = match (PersonName::parse(&name), Phone::parse(&phone), Source::parse(&channel)) {
            _ if heading => continue,
            (Err(e), ..) => format!("the name is unusable ({e})"),
            (_, Err(_), _) => "the phone is not 010 and eight digits".to_owned(),
            (_, _, None) => "the channel is unknown".to_owned(),
            (_, Ok(parsed), _) => match phones.insert(parsed.expose().to_owned(), line) {
                Some(first) => format!("the phone is that of line {first}"),
                None => {
                    customers.push(Customer { name, phone, channel });
                    continue;
                }
            },
        };
        eprintln!("{}:{line}: left out, {problem}", path.display());
    }
    if customers.is_empty() {
        Err(format!("--entries {}: no usable line", path.display()).into())
    } else {
        Ok(customers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_as_people_save_them() {
        let text = "이름,전화\n김서연,010-1111-2222\n";
        let (ansi, ..) = encoding_rs::EUC_KR.encode(text);
        assert_eq!(text_of(&ansi).as_deref(), Some(text), "as Excel saves it");
        assert_eq!(text_of(format!("\u{feff}{}", text.replace('\n', "\r\n")).as_bytes()).as_deref(), Some(text));
        assert_eq!(text_of(&[0xff, 0xff, 0x0a]), None);
    }
}
