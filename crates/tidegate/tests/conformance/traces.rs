//! Traces: what happened when.

use tidegate::TraceKind;

use crate::world::World;

const EVENTS_MAX: usize = 10_000;

pub(crate) fn a_trace_says_what_happened(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let (x, y) = (
        stream.zeros::<u32>(64).unwrap(),
        stream.zeros::<u32>(64).unwrap(),
    );
    let graph = stream
        .capture(|stream| {
            stream.launch(&affine, 2, (&x, 3_u32, 1_u32))?;
            stream.copy(&x, &y)
        })
        .unwrap();
    stream.synchronize().unwrap();
    device.reset_counters();
    let tells = device.start_trace(EVENTS_MAX).unwrap();
    for _ in 0..20 {
        stream.launch(&affine, 1, (&x, 1_u32, 1_u32)).unwrap();
    }
    stream.launch_graph(&graph).unwrap();
    stream.launch_graph(&graph).unwrap();
    stream.fill(&y, 7).unwrap();
    stream.synchronize().unwrap();
    let trace = device.end_trace().unwrap();
    assert_eq!(trace.dropped(), 0);

    let (mut submissions, mut commands, mut waits, mut ran) = (0, 0, 0, Vec::new());
    for event in trace.events() {
        assert!(event.start_ns <= event.end_ns, "{event:?}");
        match &event.kind {
            TraceKind::Submit {
                commands: count, ..
            } => {
                submissions += 1;
                commands += count;
            }
            TraceKind::Wait => waits += 1,
            TraceKind::Run { name, .. } => ran.push(name.as_str().to_owned()),
            _ => {}
        }
    }
    assert_eq!(submissions, device.counters().submissions);
    assert_eq!(commands, 25);
    assert!(waits <= submissions);
    // Only Vulkan's devices tell of single commands, if they can compare clocks.
    assert_eq!(tells, !ran.is_empty());
    if device.capabilities().backend == "vulkan" {
        let count = |name: &str| ran.iter().filter(|it| *it == name).count();
        assert_eq!((count("affine"), count("copy"), count("fill")), (22, 2, 1));
        let kernels = trace.kernels();
        assert_eq!(kernels.iter().map(|it| it.count).sum::<u64>(), 25);
        assert!(kernels[0].total_ns >= kernels[1].total_ns);
        // What runs lies inside the trace, give or take the error of comparing clocks.
        let (busy, whole) = trace.busy_ns();
        assert!(busy > 0 && busy <= whole, "{busy} of {whole}");
        let first = trace.events().iter().map(|it| it.start_ns).min().unwrap();
        for event in trace.events() {
            assert!(event.end_ns - first < 10_000_000_000, "{event:?}");
        }
    }
    let json: serde_json::Value = serde_json::from_str(&trace.to_json()).unwrap();
    let events = json["traceEvents"].as_array().unwrap();
    let drawn = events.iter().filter(|it| it["ph"] == "X").count();
    assert_eq!(drawn, trace.events().len());
    assert_eq!(drawn, trace.slices().count());
    assert!(device.end_trace().unwrap().events().is_empty());
    world.show(&[1_u8]);
}

/// On one clock: a batch is submitted after it was recorded, runs after that, and whoever waits for it wakes after it has run.
pub(crate) fn times_are_in_order(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let x = stream.zeros::<u32>(64).unwrap();
    stream.synchronize().unwrap();
    device.start_trace(EVENTS_MAX).unwrap();
    for _ in 0..6 {
        stream.launch(&affine, 1, (&x, 1_u32, 1_u32)).unwrap();
        stream.synchronize().unwrap();
    }
    let trace = device.end_trace().unwrap();
    // The two clocks are compared by a call, which may take that long.
    const ERROR_NS: u64 = 200_000;
    for value in trace.events().iter().map(|it| it.ticket) {
        let of = |wanted: fn(&TraceKind) -> bool| {
            let mut found = trace.events().iter();
            found.find(|it| it.ticket == value && wanted(&it.kind))
        };
        let submit = of(|it| matches!(it, TraceKind::Submit { .. })).unwrap();
        if let Some(record) = of(|it| matches!(it, TraceKind::Record { .. })) {
            assert!(record.end_ns <= submit.start_ns);
        }
        if let Some(run) = of(|it| matches!(it, TraceKind::Run { .. })) {
            assert!(run.start_ns + ERROR_NS >= submit.start_ns);
            if let Some(wait) = of(|it| matches!(it, TraceKind::Wait)) {
                assert!(wait.end_ns + ERROR_NS >= run.end_ns);
            }
        }
    }
}

pub(crate) fn a_trace_has_a_limit(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let x = stream.zeros::<u32>(64).unwrap();
    for limit in [10, 0] {
        device.start_trace(limit).unwrap();
        for _ in 0..100 {
            stream.launch(&affine, 1, (&x, 1_u32, 1_u32)).unwrap();
        }
        stream.synchronize().unwrap();
        let trace = device.end_trace().unwrap();
        assert!(trace.events().len() <= limit);
        // With room for ten, a device that does not tell of single commands may have no more to say.
        assert!(limit > 0 || trace.dropped() > 0);
    }
}
