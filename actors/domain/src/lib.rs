#![doc = include_str!("../README.md")]

pub mod business_number;
pub mod catalog;
pub mod channel;
pub mod dashboard;
mod digits;
pub mod distribution;
pub mod draw;
pub mod email;
pub mod entry;
pub mod event;
pub mod ids;
pub mod job;
pub mod notice;
pub mod offer;
pub mod phone;
pub mod region;
pub mod retention;
pub mod roi;
pub mod rule;
pub mod shop;
pub mod text;
pub mod time;
pub mod topic;
pub mod visit_code;
pub mod visit_guard;
