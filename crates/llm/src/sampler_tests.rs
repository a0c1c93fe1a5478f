use proptest::prelude::*;

use super::*;

fn sampler(temperature: f32, top_k: Option<u32>, top_p: f32, seed: u64) -> Sampler {
    Sampler::new(SamplerOptions {
        temperature,
        top_k,
        top_p,
        seed,
    })
    .unwrap()
}

fn shares(mut sampler: Sampler, logits: &[f32]) -> Vec<f64> {
    let mut counts = vec![0u32; logits.len()];
    for _ in 0..20_000 {
        counts[sampler.sample(logits).unwrap() as usize] += 1;
    }
    counts
        .iter()
        .map(|&count| f64::from(count) / 20_000.0)
        .collect()
}

fn assert_near(found: &[f64], expected: &[f64]) {
    // Four standard deviations of a share of one half are 0.014.
    let near = found
        .iter()
        .zip(expected)
        .all(|(a, b)| (a - b).abs() < 0.015 && (*b > 0.0 || *a == 0.0));
    assert!(near, "{found:?} is not {expected:?}");
}

/// Probabilities 0.5, 0.1, 0.3 and 0.1.
fn logits() -> [f32; 4] {
    [0.5f32, 0.1, 0.3, 0.1].map(f32::ln)
}

#[test]
fn options_out_of_range_are_refused() {
    let new = |temperature, top_k, top_p| {
        Sampler::new(SamplerOptions {
            temperature,
            top_k,
            top_p,
            seed: 1,
        })
    };
    for temperature in [-0.1, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(matches!(
            new(temperature, None, 1.0),
            Err(SamplerError::Temperature { .. })
        ));
    }
    for top_p in [0.0, -0.5, 1.01, f32::NAN, f32::INFINITY] {
        assert!(matches!(
            new(1.0, None, top_p),
            Err(SamplerError::TopP { .. })
        ));
    }
    assert_eq!(new(1.0, Some(0), 1.0).unwrap_err(), SamplerError::TopK);
    assert!(new(0.0, Some(1), f32::MIN_POSITIVE).is_ok());
    assert!(Sampler::new(SamplerOptions::default()).unwrap().is_greedy());
}

#[test]
fn greedy_takes_the_first_of_the_largest() {
    let mut greedy = Sampler::new(SamplerOptions::default()).unwrap();
    assert_eq!(greedy.sample(&[-1.0, 3.0, 3.0, 2.0]), Ok(1));
    assert_eq!(greedy.sample(&[f32::NEG_INFINITY, -1e38]), Ok(1));
}

#[test]
fn bad_logits_are_errors_and_never_tokens() {
    for mut sampler in [sampler(0.0, None, 1.0, 1), sampler(1.0, Some(2), 0.5, 1)] {
        let error = sampler.sample(&[1.0, f32::NAN, 2.0]).unwrap_err();
        assert!(matches!(error, SamplerError::BadLogit { token: 1, logit } if logit.is_nan()));
        assert_eq!(
            sampler.sample(&[f32::INFINITY]),
            Err(SamplerError::BadLogit {
                token: 0,
                logit: f32::INFINITY
            })
        );
        assert_eq!(
            sampler.sample(&[f32::NEG_INFINITY; 3]),
            Err(SamplerError::NoToken { logits: 3 })
        );
        assert_eq!(
            sampler.sample(&[]),
            Err(SamplerError::NoToken { logits: 0 })
        );
    }
}

#[test]
fn shares_follow_the_probabilities() {
    assert_near(
        &shares(sampler(1.0, None, 1.0, 7), &logits()),
        &[0.5, 0.1, 0.3, 0.1],
    );
    // Temperature one half squares the probabilities: 25, 1, 9 and 1 of 36.
    assert_near(
        &shares(sampler(0.5, None, 1.0, 7), &logits()),
        &[25.0 / 36.0, 1.0 / 36.0, 0.25, 1.0 / 36.0],
    );
    assert_near(
        &shares(sampler(1.0, Some(2), 1.0, 7), &logits()),
        &[0.625, 0.0, 0.375, 0.0],
    );
    assert_near(
        &shares(sampler(1.0, None, 0.6, 7), &logits()),
        &[0.625, 0.0, 0.375, 0.0],
    );
    // Of the two of 0.1, the smaller token stays.
    assert_near(
        &shares(sampler(1.0, Some(3), 1.0, 7), &logits()),
        &[5.0 / 9.0, 1.0 / 9.0, 1.0 / 3.0, 0.0],
    );
    // Top-p counts within top-k: 0.625 is already more than 0.6.
    assert_near(
        &shares(sampler(1.0, Some(2), 0.6, 7), &logits()),
        &[1.0, 0.0, 0.0, 0.0],
    );
    assert_near(
        &shares(sampler(1e-30, None, 1.0, 7), &logits()),
        &[1.0, 0.0, 0.0, 0.0],
    );
    assert_near(&shares(sampler(1e30, None, 1.0, 7), &logits()), &[0.25; 4]);
}

#[test]
fn a_seed_gives_the_same_tokens() {
    let draw = |seed| {
        let mut sampler = sampler(1.0, None, 1.0, seed);
        (0..16)
            .map(|_| sampler.sample(&logits()).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(draw(42), draw(42));
    assert_ne!(draw(42), draw(43));
}

proptest! {
    #[test]
    fn any_logits_give_a_possible_token_or_an_error(
        logits in prop::collection::vec(
            prop_oneof![8 => -50f32..50.0, 1 => any::<f32>(), 1 => Just(f32::NEG_INFINITY)], 0..40),
        temperature in prop_oneof![Just(0.0f32), 1e-38f32..1e38],
        top_k in prop::option::of(1u32..50),
        top_p in f32::MIN_POSITIVE..=1.0f32,
        seed in any::<u64>(),
    ) {
        let mut sampler = sampler(temperature, top_k, top_p, seed);
        if let Ok(token) = sampler.sample(&logits) {
            prop_assert!(logits[token as usize].is_finite());
        }
    }
}
