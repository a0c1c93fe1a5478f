//! The hand-written chain computes what it should, however it is cut.
#![cfg(feature = "raw-chain")]

mod common;

use common::*;
use tidegate_core::Code;
use tidegate_vulkan::{RawChain, Select};

#[test]
fn every_cut_gives_the_same_words() {
    for options in every_path() {
        let mut chain = RawChain::open(&Select::Best, &options).unwrap();
        let log = chain.validation_log();
        let code = Code::Spirv(spirv(LCG.wgsl));
        assert!(chain.step_one().is_err(), "not prepared");
        assert!(chain.prepare(&LCG.kernel(), &code, 0, 16).is_err());
        chain.prepare(&LCG.kernel(), &code, 100, 16).unwrap();
        chain.step_each().unwrap();
        chain.step_one().unwrap();
        for cut in [1, 7, 32, 100, 1000] {
            chain.step_cut(cut).unwrap();
        }
        let expected: Vec<u32> = (0..1024).map(|it| lcg(it, 700)).collect();
        assert_eq!(chain.result().unwrap(), expected);
        chain.restart().unwrap();
        chain.step_cut(32).unwrap();
        assert_eq!(chain.result().unwrap()[5], lcg(5, 100));
        drop(chain);
        assert_eq!(log.messages(), Vec::<String>::new());
    }
}
