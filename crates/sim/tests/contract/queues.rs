//! Several queues: what waits promise, and for whom.

use crate::support::*;
use tidegate_core::{Device, Stages};
use tidegate_sim::{Rule, Setup, Sim};

/// Queue 0 fills buffer 0, queue 1 copies it to buffer 1, `change`d.
fn across(sim: &Sim, change: impl Fn(Draft) -> Draft) -> Vec<u8> {
    batch().fill(whole(0), 7).submit(sim, 0, 1);
    let draft = batch().host_reads().copy(whole(0), whole(1));
    change(draft).submit(sim, 1, 1);
    wait(sim, 1, 1);
    read(sim, whole(1))
}

#[test]
fn another_queue_is_seen_only_through_a_wait() {
    holds(&words(7), |sim| across(sim, |it| it.wait(0, 1)));
    shows(&[Rule::Race], &words(7), |sim| across(sim, |it| it));
    shows(&[Rule::Race], &words(7), |sim| {
        across(sim, |it| it.open(ALL, ALL))
    });
}

#[test]
fn a_wait_for_the_wrong_ticket_shows() {
    let program = |value| {
        move |sim: &Sim| {
            batch().fill(whole(2), 1).submit(sim, 0, 1);
            batch().fill(whole(0), 7).submit(sim, 0, 2);
            let draft = batch().host_reads().wait(0, value);
            draft.copy(whole(0), whole(1)).submit(sim, 1, 1);
            wait(sim, 1, 1);
            read(sim, whole(1))
        }
    };
    shows(&[Rule::Race], &words(7), program(1));
    holds(&words(7), program(2));
}

#[test]
fn a_ticket_stands_for_all_before_it_on_its_queue() {
    holds(&words(7), |sim| {
        batch().fill(whole(0), 7).submit(sim, 0, 3);
        batch().fill(whole(2), 1).submit(sim, 0, 8);
        let draft = batch().host_reads().wait(0, 8);
        draft.copy(whole(0), whole(1)).submit(sim, 1, 1);
        wait(sim, 1, 1);
        read(sim, whole(1))
    });
}

#[test]
fn waits_hand_on_what_was_waited_for() {
    for seed in SEEDS {
        let mut setup = Setup::unified();
        setup.capabilities.queues = 3;
        let sim = rig_with(seed, setup);
        batch().fill(whole(0), 7).submit(&sim, 0, 1);
        let draft = batch().wait(0, 1).copy(whole(0), whole(1));
        draft.submit(&sim, 1, 1);
        let draft = batch().host_reads().wait(1, 1);
        let draft = draft.launch(ADD, &[whole(0), whole(1), whole(2)], &[]);
        draft.submit(&sim, 2, 1);
        wait(&sim, 2, 1);
        assert_eq!(read(&sim, whole(2)), words(14), "seed {seed}");
        sim.assert_clean();
    }
}

#[test]
fn a_wait_counts_for_later_batches_only_through_their_opening_barrier() {
    let program = |opening: Stages| {
        move |sim: &Sim| {
            batch().fill(whole(0), 7).submit(sim, 0, 1);
            batch().wait(0, 1).fill(whole(2), 1).submit(sim, 1, 1);
            let draft = batch().open(opening, opening).host_reads();
            draft.copy(whole(0), whole(1)).submit(sim, 1, 2);
            wait(sim, 1, 2);
            read(sim, whole(1))
        }
    };
    holds(&words(7), program(TRANSFER));
    shows(&[Rule::Race], &words(7), program(Stages::NONE));
}

#[test]
fn completion_allows_reuse_on_another_queue_but_shows_no_bytes() {
    holds(&words(9), |sim| {
        batch().fill(whole(0), 7).submit(sim, 0, 1);
        wait(sim, 0, 1);
        batch().host_reads().fill(whole(0), 9).submit(sim, 1, 1);
        wait(sim, 1, 1);
        read(sim, whole(0))
    });
    shows(&[Rule::Unseen], &words(7), |sim| {
        batch().fill(whole(0), 7).submit(sim, 0, 1);
        wait(sim, 0, 1);
        batch()
            .host_reads()
            .copy(whole(0), whole(1))
            .submit(sim, 1, 1);
        wait(sim, 1, 1);
        read(sim, whole(1))
    });
}

#[test]
fn memory_reused_before_its_last_use_shows() {
    let program = |told: bool| {
        move |sim: &Sim| {
            batch().fill(whole(0), 7).submit(sim, 0, 1);
            let draft = batch().host_reads().open(ALL, ALL);
            draft.copy(whole(0), whole(1)).submit(sim, 0, 2);
            if told {
                wait(sim, 0, 2);
            }
            batch().fill(whole(0), 9).submit(sim, 1, 1);
            wait(sim, 1, 1);
            wait(sim, 0, 2);
            read(sim, whole(1))
        }
    };
    holds(&words(7), program(true));
    shows(&[Rule::Race], &words(7), program(false));
}

#[test]
fn nothing_runs_before_its_waits() {
    // Queue 1 is asked for first, so that the seed has every chance to run it too early.
    for seed in SEEDS {
        let sim = rig(seed);
        batch().fill(whole(0), 7).submit(&sim, 0, 1);
        let draft = batch().wait(0, 1).host_reads().copy(whole(0), whole(1));
        draft.submit(&sim, 1, 1);
        assert!(
            (0..1000).any(|_| sim.completed(1).unwrap() == 1),
            "seed {seed}"
        );
        assert_eq!(sim.violations(), []);
        assert_eq!(read(&sim, whole(1)), words(7), "seed {seed}");
    }
}
