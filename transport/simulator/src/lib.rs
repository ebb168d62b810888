#![doc = include_str!("../README.md")]

mod background;
mod behaviour;
mod checks;
mod claude;
mod connection;
mod control;
mod faults;
mod instagram;
mod korean;
mod naver_kakao;
mod nts;
mod openai;
mod posts;
mod proposals;
mod scenario;
mod server;
mod stability;
mod television;

pub use faults::{Fault, Rule};
pub use nts::SPECIAL_NUMBERS;
pub use posts::{Post, Posts};
pub use scenario::{Scenario, Step};
pub use server::{Config, Simulator, UPSTREAMS};
