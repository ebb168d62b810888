#![doc = include_str!("../README.md")]

mod background;
mod claude;
mod instagram;
mod korean;
mod naver_kakao;
mod nts;
mod posts;
mod proposals;
mod server;
mod stability;
mod television;

pub use nts::SPECIAL_NUMBERS;
pub use posts::{Post, Posts};
pub use server::{Config, Fault, Simulator, UPSTREAMS};
