//! The Objective-C runtime: ownership, pools, weak references, blocks, and what is named when broken.
#![cfg(metal_soft)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use block2::RcBlock;
use common::{alone, broken};
use objc2::rc::{Retained, Weak, autoreleasepool};
use objc2::runtime::AnyObject;
use objc2::{Message as _, msg_send};
use objc2_foundation::{NSArray, NSDictionary, NSError, NSString};
use tidegate_softmetal::{Rule, census, violations};

fn strings() -> usize {
    census().objects.get("NSString").copied().unwrap_or(0)
}

#[test]
fn the_last_release_ends_an_object() {
    let _alone = alone();
    let before = strings();
    let first = NSString::from_str("über");
    let second = first.clone();
    assert_eq!(strings(), before + 1);
    drop(first);
    assert_eq!(
        (
            strings(),
            second.to_string().as_str(),
            second.len(),
            second.length()
        ),
        (before + 1, "über", 5, 4)
    );
    drop(second);
    assert_eq!(strings(), before);
}

#[test]
fn a_pool_releases_what_it_was_given_and_pools_nest() {
    let _alone = alone();
    let before = strings();
    autoreleasepool(|_| {
        let _outer = Retained::autorelease_ptr(NSString::from_str("outer"));
        autoreleasepool(|_| {
            let _inner = Retained::autorelease_ptr(NSString::from_str("inner"));
            assert_eq!(strings(), before + 2);
        });
        assert_eq!(strings(), before + 1);
    });
    assert_eq!(strings(), before);
}

#[test]
fn an_autorelease_without_a_pool_is_named() {
    let _alone = alone();
    let before = census().autoreleased_without_pool;
    let text = Retained::autorelease_ptr(NSString::from_str("lost"));
    assert_eq!(census().autoreleased_without_pool, before + 1);
    assert!(
        violations()
            .iter()
            .any(|it| it.rule == Rule::NoPool && it.detail.contains("NSString"))
    );
    // SAFETY: nobody else owns what was autoreleased in vain.
    drop(unsafe { Retained::from_raw(text) });
}

#[test]
fn a_weak_reference_forgets_what_has_ended() {
    let _alone = alone();
    autoreleasepool(|_| {
        let text = NSString::from_str("here");
        let weak = Weak::from_retained(&text);
        let copy = weak.clone();
        assert_eq!(weak.load().expect("alive").to_string(), "here");
        drop(text);
        assert!(weak.load().is_none() && copy.load().is_none());
    });
}

#[test]
fn a_message_to_a_dead_object_and_a_release_too_many_are_named() {
    let _alone = alone();
    let text = NSString::from_str("stolen");
    let raw = Retained::into_raw(text);
    // SAFETY: wrong on purpose: the one reference is given up, and the object used again.
    unsafe {
        drop(Retained::from_raw(raw));
        broken(Rule::Zombie, || assert_eq!((*raw).length(), 0));
        assert!(
            violations()
                .iter()
                .any(|it| it.detail == "`length` sent to a deallocated NSString")
        );
        broken(Rule::OverRelease, || drop(Retained::from_raw(raw)));
        broken(Rule::Zombie, || std::mem::forget((*raw).retain()));
    }
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "method not found"))]
#[cfg_attr(
    not(debug_assertions),
    should_panic(expected = "-[NSString shout]: unrecognized selector")
)]
fn an_unknown_selector_is_named() {
    let text = NSString::from_str("quiet");
    // SAFETY: the message is refused.
    let _: () = unsafe { msg_send![&*text, shout] };
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "expected return to have type code")]
fn a_wrong_type_in_a_message_is_named() {
    let text = NSString::from_str("typed");
    // SAFETY: the message is refused.
    let _: f32 = unsafe { msg_send![&*text, length] };
}

#[test]
fn blocks_are_copied_called_and_freed() {
    let _alone = alone();
    let before = census().blocks;
    let calls = Arc::new(AtomicU32::new(0));
    let captured = Arc::clone(&calls);
    let block = RcBlock::new(move |by: u32| {
        captured.fetch_add(by, Ordering::Relaxed);
    });
    // SAFETY: a block that lives.
    let copy = unsafe { RcBlock::copy(RcBlock::as_ptr(&block)) }.expect("a copy");
    assert_eq!(census().blocks, before + 1);
    drop(block);
    copy.call((3,));
    assert_eq!(
        (calls.load(Ordering::Relaxed), Arc::strong_count(&calls)),
        (3, 2)
    );
    let raw = RcBlock::into_raw(copy);
    // SAFETY: the last reference; the second is one too many, on purpose.
    unsafe {
        drop(RcBlock::from_raw(raw));
        assert_eq!((census().blocks, Arc::strong_count(&calls)), (before, 1));
        broken(Rule::OverRelease, || drop(RcBlock::from_raw(raw)));
    }
}

#[test]
fn collections_own_what_they_hold() {
    let _alone = alone();
    let before = strings();
    autoreleasepool(|_| {
        let array =
            NSArray::from_retained_slice(&[NSString::from_str("a"), NSString::from_str("b")]);
        let texts: Vec<String> = array.iter().map(|it| it.to_string()).collect();
        assert_eq!(
            (array.count(), texts),
            (2, vec!["a".to_owned(), "b".to_owned()])
        );
        let (key, value) = (NSString::from_str("key"), NSString::from_str("value"));
        let dictionary = NSDictionary::from_slices(&[&*key], &[&*value]);
        drop((key, value));
        let found = dictionary
            .objectForKey(&NSString::from_str("key"))
            .expect("the key");
        assert_eq!(found.to_string(), "value");
        let object: &AnyObject = &found;
        assert!(object.downcast_ref::<NSString>().is_some());
        let error = NSError::new(7, &NSString::from_str("domain"));
        assert_eq!(
            (
                error.code(),
                error.domain().to_string(),
                error.userInfo().count()
            ),
            (7, "domain".to_owned(), 0)
        );
    });
    assert_eq!(strings(), before);
}
