//! Uploads, downloads, copies and fills.

use crate::world::World;

fn pattern(len: usize, seed: u32) -> Vec<u32> {
    let words = (0..len as u32).map(|i| i.wrapping_mul(2_654_435_761).wrapping_add(seed));
    words.collect()
}

/// In place, inside the batch, through the ring: whichever it is, the bytes arrive.
pub(crate) fn uploads_of_every_size(world: &World) {
    for direct in [true, false] {
        let device = world.device_with(|it| {
            it.staging_bytes = 4096;
            it.direct = direct;
        });
        let mut stream = world.stream(&device);
        for len in [1, 2, 15, 256, 1024, 1025, 3000, 20_000] {
            let data = pattern(len, 7);
            let x = stream.upload_new(&data).unwrap();
            assert_eq!(world.read(&mut stream, &x), data, "{len} words");
            // And once more while work is pending on it.
            let other = pattern(len, 8);
            stream.fill(&x, 0_u32).unwrap();
            stream.upload(&x, &other).unwrap();
            assert_eq!(world.read(&mut stream, &x), other, "{len} words");
        }
        let counters = device.counters();
        assert!(counters.staging_peak <= 4096);
        if !direct {
            assert_eq!(counters.bytes_direct, 0);
            assert!(counters.bytes_staged > 0 && counters.bytes_inline > 0);
        }
    }
}

pub(crate) fn an_upload_has_read_its_slice(world: &World) {
    let (device, mut stream) = world.open();
    for len in [16, 5000] {
        let mut data = pattern(len, 1);
        let want = data.clone();
        let x = device.buffer::<u32>(len).unwrap();
        stream.upload(&x, &data).unwrap();
        data.fill(0);
        drop(data);
        assert_eq!(world.read(&mut stream, &x), want);
    }
}

pub(crate) fn an_upload_larger_than_the_ring(world: &World) {
    let device = world.device_with(|it| {
        it.staging_bytes = 1 << 14;
        it.direct = false;
    });
    let mut stream = world.stream(&device);
    let data = pattern(100_000, 3);
    let x = stream.upload_new(&data).unwrap();
    assert_eq!(world.read(&mut stream, &x), data);
    let counters = device.counters();
    assert_eq!(counters.bytes_staged, 400_000);
    assert!(counters.staging_peak <= 1 << 14, "{counters:?}");
    // On a real device a thread submits what is pending meanwhile, and may keep the ring from filling up.
    assert!(counters.stalls > 0 || world.compiles(), "{counters:?}");
}

pub(crate) fn downloads_late_at_once_and_never(world: &World) {
    let (device, mut stream) = world.open();
    let index = world.kernel(&device, "fill_index");
    let x = device.buffer::<u32>(100).unwrap();
    let mut late = Vec::new();
    for step in 0..10_u32 {
        stream.launch(&index, 2, (&x, step)).unwrap();
        drop(stream.download(&x).unwrap());
        late.push(stream.download(&x).unwrap());
        let now = stream.download(x.slice(..1).unwrap()).unwrap();
        assert_eq!(now.wait().unwrap(), [step]);
    }
    drop(stream);
    for (step, pending) in (0_u32..10).zip(late).rev() {
        while !pending.is_complete().unwrap() {
            std::thread::yield_now();
        }
        let got = pending.wait().unwrap();
        world.show(&got);
        assert_eq!(got, (step..step + 100).collect::<Vec<u32>>());
    }
}

pub(crate) fn a_download_is_a_snapshot(world: &World) {
    let (_device, mut stream) = world.open();
    let x = stream.upload_new(&[1_u32; 8]).unwrap();
    let before = stream.download(&x).unwrap();
    stream.fill(&x, 2_u32).unwrap();
    let after = stream.download(&x).unwrap();
    stream.upload(&x, &[3_u32; 8]).unwrap();
    drop(x);
    assert_eq!((before.len(), before.is_empty()), (8, false));
    // Waiting uses nothing up.
    for _ in 0..2 {
        assert_eq!(after.wait().unwrap(), [2; 8]);
        let mut target = [0; 8];
        before.wait_into(&mut target).unwrap();
        assert_eq!(target, [1; 8]);
    }
}

pub(crate) fn slices_of_slices(world: &World) {
    let (_device, mut stream) = world.open();
    let x = stream.zeros::<u32>(100).unwrap();
    let middle = x.slice(20..80).unwrap();
    assert_eq!((middle.len(), middle.is_empty()), (60, false));
    stream
        .upload(middle.slice(10..=11).unwrap(), &[7, 8])
        .unwrap();
    stream.fill(middle.slice(58..).unwrap(), 9).unwrap();
    let tail = stream.download(middle.slice(50..).unwrap()).unwrap();
    assert_eq!(tail.wait().unwrap(), [0, 0, 0, 0, 0, 0, 0, 0, 9, 9]);
    let mut want = vec![0; 100];
    (want[30], want[31], want[78], want[79]) = (7, 8, 9, 9);
    assert_eq!(world.read(&mut stream, &x), want);
}

pub(crate) fn copies(world: &World) {
    let (device, mut stream) = world.open();
    let data = pattern(64, 5);
    let x = stream.upload_new(&data).unwrap();
    let y = device.buffer::<u32>(64).unwrap();
    stream.copy(&x, &y).unwrap();
    // Neighbours within one buffer.
    stream
        .copy(y.slice(..8).unwrap(), y.slice(8..16).unwrap())
        .unwrap();
    stream
        .copy(x.slice(32..).unwrap(), y.slice(..32).unwrap())
        .unwrap();
    stream
        .copy(y.slice(..32).unwrap(), x.slice(..32).unwrap())
        .unwrap();
    let mut want = data.clone();
    want[..32].copy_from_slice(&data[32..]);
    assert_eq!(world.read(&mut stream, &x), want);
    assert_eq!(world.read(&mut stream, &y), want);
}

pub(crate) fn fills(world: &World) {
    let (device, mut stream) = world.open();
    macro_rules! check {
        ($value:expr, $len:expr) => {{
            let x = device.buffer($len).unwrap();
            stream.fill(&x, $value).unwrap();
            assert_eq!(world.read(&mut stream, &x), vec![$value; $len]);
        }};
    }
    check!(0x5a_u8, 1024);
    check!(0x1234_u16, 514);
    check!(0xdead_beef_u32, 77);
    check!(-1.5_f32, 77);
    check!([1.0_f32, 2.0, 3.0], 1000);
    check!(0x0123_4567_89ab_cdef_u64, 33);
    let x = stream.zeros::<u16>(8).unwrap();
    stream.fill(x.slice(2..6).unwrap(), 3_u16).unwrap();
    assert_eq!(world.read(&mut stream, &x), [0, 0, 3, 3, 3, 3, 0, 0]);
}

pub(crate) fn zeros(world: &World) {
    let (_device, mut stream) = world.open();
    // Freed memory that is used again does not shine through.
    for _ in 0..4 {
        let x = stream.zeros::<f32>(1000).unwrap();
        assert_eq!(world.read(&mut stream, &x), vec![0.0; 1000]);
        stream.fill(&x, f32::NAN).unwrap();
        stream.synchronize().unwrap();
    }
}

pub(crate) fn nothing_of_nothing(world: &World) {
    let (device, mut stream) = world.open();
    let x = device.buffer::<u32>(0).unwrap();
    assert!(x.is_empty() && x.as_slice().is_empty());
    stream.upload(&x, &[]).unwrap();
    stream.fill(&x, 1).unwrap();
    stream.copy(&x, &x).unwrap();
    assert_eq!(stream.download(&x).unwrap().wait().unwrap(), [0_u32; 0]);
    let none = device.buffer::<()>(3).unwrap();
    stream.upload(&none, &[(); 3]).unwrap();
    assert_eq!(stream.download(&none).unwrap().wait().unwrap(), [(); 3]);
    stream.synchronize().unwrap();
    stream.flush().unwrap();
}
