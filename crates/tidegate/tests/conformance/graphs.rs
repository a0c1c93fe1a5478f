//! Graphs: captured once, launched many times.

use tidegate::{Error, StreamError};

use crate::world::World;

pub(crate) fn a_graph_does_again_what_was_captured(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let x = stream.upload_new(&[1_u32; 100]).unwrap();
    let graph = stream
        .capture(|stream| {
            for b in 0..5_u32 {
                stream.launch(&affine, affine.grid_for(100), (&x, 3_u32, b))?;
            }
            Ok(())
        })
        .unwrap();
    assert_eq!((graph.launches(), graph.submissions()), (5, 1));
    let step = |x: u32| (0..5).fold(x, |x, b| x.wrapping_mul(3).wrapping_add(b));
    let mut want = 1;
    for count in [1, 2, 7] {
        for _ in 0..count {
            stream.launch_graph(&graph).unwrap();
            want = step(want);
        }
        // Other work stands before and after.
        stream
            .launch(&affine, affine.grid_for(100), (&x, 1_u32, 1_u32))
            .unwrap();
        want = want.wrapping_add(1);
        assert_eq!(world.read(&mut stream, &x), [want; 100]);
    }
    let counters = device.counters();
    assert_eq!(counters.graph_launches, 10);
    assert_eq!(counters.dispatches, 10 * 5 + 3);
    assert!(graph.to_string().contains("launch"), "{graph}");
}

pub(crate) fn a_capture_does_nothing_by_itself(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let x = stream.zeros::<u32>(64).unwrap();
    stream.begin_capture().unwrap();
    stream.launch(&affine, 1, (&x, 1_u32, 1_u32)).unwrap();
    let graph = stream.end_capture().unwrap();
    let failed = stream.capture(|stream| {
        stream.launch(&affine, 1, (&x, 1_u32, 1_u32))?;
        stream.launch(&affine, 0, (&x, 1_u32, 1_u32))
    });
    assert!(failed.is_err());
    drop(graph);
    assert_eq!(world.read(&mut stream, &x), [0; 64]);
    let empty = stream.capture(|_| Ok(())).unwrap();
    stream.launch_graph(&empty).unwrap();
    assert_eq!(empty.submissions(), 0);
}

pub(crate) fn every_sort_of_command_is_captured(world: &World) {
    let (device, mut stream) = world.open();
    let (uniform, add) = (
        world.kernel(&device, "affine_uniform"),
        world.kernel(&device, "add"),
    );
    let small = stream.zeros::<u32>(64).unwrap();
    let large = stream.zeros::<u32>(3000).unwrap();
    let copied = stream.zeros::<u32>(64).unwrap();
    let odd = stream.zeros::<[u32; 3]>(10).unwrap();
    let data: Vec<u32> = (0..3000).collect();
    let graph = stream
        .capture(|stream| {
            stream.upload(&small, &[5_u32; 64])?;
            stream.upload(&large, &data)?;
            stream.launch(&uniform, 1, (&small, 2_u32, 1_u32))?;
            stream.copy(large.slice(100..164)?, &copied)?;
            stream.fill(large.slice(..10)?, 9_u32)?;
            stream.fill(&odd, [1, 2, 3])?;
            stream.launch(&add, 1, (&small, &copied, large.slice(1024..1088)?))
        })
        .unwrap();
    for _ in 0..3 {
        // Each launch begins anew, whatever stands there.
        for buffer in [&small, &large, &copied] {
            stream.fill(buffer, 77_u32).unwrap();
        }
        stream.fill(&odd, [7, 7, 7]).unwrap();
        stream.launch_graph(&graph).unwrap();
        assert_eq!(world.read(&mut stream, &small), [11; 64]);
        let mut want = data.clone();
        want[..10].fill(9);
        for i in 0..64 {
            want[1024 + i] = 11 + 100 + i as u32;
        }
        assert_eq!(world.read(&mut stream, &large), want);
        assert_eq!(world.read(&mut stream, &copied), data[100..164]);
        assert_eq!(world.read(&mut stream, &odd), [[1, 2, 3]; 10]);
    }
}

pub(crate) fn several_launches_are_in_flight(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let x = stream.zeros::<u32>(64).unwrap();
    let graph = stream
        .capture(|stream| stream.launch(&affine, 1, (&x, 3_u32, 1_u32)))
        .unwrap();
    for _ in 0..40 {
        stream.launch_graph(&graph).unwrap();
    }
    // What is in flight keeps what it needs.
    drop(graph);
    let want = (0..40).fold(0_u32, |x, _| x.wrapping_mul(3).wrapping_add(1));
    assert_eq!(world.read(&mut stream, &x), [want; 64]);
}

pub(crate) fn arguments_change_between_launches(world: &World) {
    let (device, mut stream) = world.open();
    let names = ["affine", "affine_uniform"];
    for kernel in names.map(|it| world.kernel(&device, it)) {
        let x = stream.zeros::<u32>(64).unwrap();
        let y = stream.zeros::<u32>(64).unwrap();
        let mut graph = stream
            .capture(|stream| {
                stream.launch(&kernel, 1, (&x, 10_u32, 0_u32))?;
                stream.launch(&kernel, 1, (&x, 1_u32, 1_u32))
            })
            .unwrap();
        let (mut want_x, mut want_y) = (0_u32, 0_u32);
        for b in 1..12_u32 {
            graph.set_arguments(&mut stream, 1, (&x, 1_u32, b)).unwrap();
            stream.launch_graph(&graph).unwrap();
            want_x = want_x.wrapping_mul(10).wrapping_add(b);
        }
        // Those in flight keep their arguments.
        graph
            .set_arguments(&mut stream, 0, (&y, 2_u32, 1_u32))
            .unwrap();
        stream.launch_graph(&graph).unwrap();
        want_x = want_x.wrapping_add(11);
        want_y = want_y * 2 + 1;
        assert_eq!(world.read(&mut stream, &x), [want_x; 64]);
        assert_eq!(world.read(&mut stream, &y), [want_y; 64]);
    }
}

pub(crate) fn a_change_that_is_refused_changes_nothing(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let x = stream.zeros::<u32>(64).unwrap();
    let mut graph = stream
        .capture(|stream| stream.launch(&affine, 1, (&x, 1_u32, 1_u32)))
        .unwrap();
    let text = graph.to_string();
    let missing = graph.set_arguments(&mut stream, 1, (&x, 1_u32, 2_u32));
    let wanted = StreamError::NoSuchLaunch {
        index: 1,
        launches: 1,
    };
    assert!(matches!(missing, Err(Error::Stream(it)) if it == wanted));
    let wrong = graph.set_arguments(&mut stream, 0, (&x, 1_u32));
    assert!(wrong.is_err());
    let (foreign, mut other) = world.open();
    let theirs = foreign.buffer::<u32>(64).unwrap();
    let result = graph.set_arguments(&mut stream, 0, (&theirs, 1_u32, 2_u32));
    assert!(result.unwrap_err().to_string().contains("another device"));
    let result = graph.set_arguments(&mut other, 0, (&x, 1_u32, 2_u32));
    assert!(result.is_err());
    let result = other.launch_graph(&graph);
    assert!(result.unwrap_err().to_string().contains("another device"));
    assert_eq!(graph.to_string(), text);
    stream.launch_graph(&graph).unwrap();
    assert_eq!(world.read(&mut stream, &x), [1; 64]);
}

pub(crate) fn barriers_follow_the_buffers(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let [x, y] = [(); 2].map(|()| stream.zeros::<u32>(64).unwrap());
    let mut graph = stream
        .capture(|stream| {
            stream.launch(&affine, 1, (&x, 3_u32, 1_u32))?;
            stream.launch(&affine, 1, (&y, 3_u32, 1_u32))?;
            stream.launch(&affine, 1, (&x, 5_u32, 2_u32))
        })
        .unwrap();
    let barriers = |graph: &tidegate::Graph| graph.to_string().matches("barrier").count();
    assert_eq!(barriers(&graph), 1);
    graph
        .set_arguments(&mut stream, 1, (&x, 7_u32, 3_u32))
        .unwrap();
    assert_eq!(barriers(&graph), 2);
    stream.launch_graph(&graph).unwrap();
    assert_eq!(world.read(&mut stream, &x), [(7 + 3) * 5 + 2; 64]);
    graph
        .set_arguments(&mut stream, 2, (&y, 5_u32, 2_u32))
        .unwrap();
    graph
        .set_arguments(&mut stream, 1, (&y, 7_u32, 3_u32))
        .unwrap();
    stream.launch_graph(&graph).unwrap();
    assert_eq!(world.read(&mut stream, &y), [3 * 5 + 2; 64]);
}

pub(crate) fn what_a_graph_uses_lives_as_long(world: &World) {
    let (device, mut stream) = world.open();
    let result = stream.zeros::<u32>(64).unwrap();
    let graph = {
        let add = world.kernel(&device, "add");
        let x = stream.upload_new(&[1_u32; 64]).unwrap();
        let y = stream.upload_new(&[2_u32; 64]).unwrap();
        stream
            .capture(|stream| stream.launch(&add, 1, (&x, &y, &result)))
            .unwrap()
    };
    // What would take the freed memory.
    for _ in 0..4 {
        let _ = stream.upload_new(&[9_u32; 64]).unwrap();
    }
    stream.launch_graph(&graph).unwrap();
    assert_eq!(world.read(&mut stream, &result), [3; 64]);
    let before = device.counters().memory_bytes;
    drop(graph);
    assert!(device.counters().memory_bytes < before);
}

pub(crate) fn buffers_that_a_graph_no_longer_uses_are_let_go(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let first = stream.zeros::<u32>(64).unwrap();
    let mut graph = stream
        .capture(|stream| stream.launch(&affine, 1, (&first, 1_u32, 1_u32)))
        .unwrap();
    let mut used = Vec::new();
    for _ in 0..50 {
        let next = stream.zeros::<u32>(64).unwrap();
        graph
            .set_arguments(&mut stream, 0, (&next, 1_u32, 1_u32))
            .unwrap();
        stream.launch_graph(&graph).unwrap();
        used.push(device.counters().memory_bytes);
    }
    assert_eq!(used[3], used[49], "{used:?}");
    stream.synchronize().unwrap();
}

pub(crate) fn events_belong_to_each_launch(world: &World) {
    let (device, mut first) = world.open();
    let mut second = world.stream(&device);
    let (affine, copy) = (
        world.kernel(&device, "affine"),
        world.kernel(&device, "copy"),
    );
    let x = first.zeros::<u32>(64).unwrap();
    let y = first.zeros::<u32>(64).unwrap();
    let (ready, done) = (device.event(), device.event());
    let graph = first
        .capture(|stream| {
            stream.wait(&ready)?;
            stream.launch(&affine, 1, (&x, 2_u32, 1_u32))?;
            stream.record(&done)?;
            // In order already.
            stream.wait(&done)
        })
        .unwrap();
    assert!(done.is_complete().unwrap(), "never recorded");
    let mut want = 0;
    for _ in 0..4 {
        second.launch(&affine, 1, (&x, 1_u32, 10_u32)).unwrap();
        second.record(&ready).unwrap();
        first.launch_graph(&graph).unwrap();
        want = (want + 10) * 2 + 1;
        second.wait(&done).unwrap();
        second.launch(&copy, 1, (&x, &y)).unwrap();
        assert_eq!(world.read(&mut second, &y), [want; 64]);
        done.synchronize().unwrap();
        assert!(done.is_complete().unwrap());
    }
}

pub(crate) fn graphs_are_ordered_across_streams(world: &World) {
    let (device, mut first) = world.open();
    let mut second = world.stream(&device);
    let affine = world.kernel(&device, "affine");
    let x = first.zeros::<u32>(64).unwrap();
    let graph = first
        .capture(|stream| stream.launch(&affine, 1, (&x, 3_u32, 1_u32)))
        .unwrap();
    let mut want = 0_u32;
    for step in 0..12_u32 {
        let (one, two) = if step % 2 == 0 {
            (&mut first, &mut second)
        } else {
            (&mut second, &mut first)
        };
        one.launch_graph(&graph).unwrap();
        two.launch(&affine, 1, (&x, 1_u32, step)).unwrap();
        want = want.wrapping_mul(3).wrapping_add(1 + step);
    }
    assert_eq!(world.read(&mut first, &x), [want; 64]);
}

pub(crate) fn a_long_graph_goes_in_parts(world: &World) {
    let device = world.device_with(|it| it.commands_max = 7);
    let mut stream = world.stream(&device);
    let affine = world.kernel(&device, "affine");
    let x = stream.zeros::<u32>(64).unwrap();
    let mut graph = stream
        .capture(|stream| {
            for b in 0..30_u32 {
                stream.launch(&affine, 1, (&x, 3_u32, b))?;
            }
            Ok(())
        })
        .unwrap();
    assert_eq!((graph.launches(), graph.submissions()), (30, 5));
    graph
        .set_arguments(&mut stream, 29, (&x, 1_u32, 5_u32))
        .unwrap();
    stream.launch_graph(&graph).unwrap();
    let want = (0..29).fold(0_u32, |x, b| x.wrapping_mul(3).wrapping_add(b));
    assert_eq!(world.read(&mut stream, &x), [want.wrapping_add(5); 64]);
    assert!(device.counters().commands_peak <= 7);
}

pub(crate) fn what_cannot_be_captured_is_said(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let x = stream.zeros::<u32>(64).unwrap();
    let other = stream
        .capture(|stream| stream.launch(&affine, 1, (&x, 1_u32, 1_u32)))
        .unwrap();
    let error = stream.end_capture().unwrap_err();
    assert!(error.to_string().contains("does not capture"), "{error}");
    let graph = stream
        .capture(|stream| {
            let refusals = [
                stream.download(&x).map(|_| ()),
                stream.flush(),
                stream.query().map(|_| ()),
                stream.synchronize(),
                stream.launch_graph(&other),
                stream.begin_capture(),
            ];
            for refusal in refusals {
                let error = refusal.unwrap_err();
                assert!(error.to_string().contains("end the capture"), "{error}");
            }
            // It captures on.
            stream.launch(&affine, 1, (&x, 1_u32, 1_u32))
        })
        .unwrap();
    assert_eq!(graph.launches(), 1);
    stream.launch_graph(&graph).unwrap();
    assert_eq!(world.read(&mut stream, &x), [1; 64]);
    // A stream that is dropped while it captures takes nothing with it.
    let mut left = world.stream(&device);
    left.begin_capture().unwrap();
    left.launch(&affine, 1, (&x, 1_u32, 1_u32)).unwrap();
    drop(left);
    assert_eq!(world.read(&mut stream, &x), [1; 64]);
}
