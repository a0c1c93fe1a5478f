// Layouts where a size and a stride differ, and scalars with gaps between them.

struct Particle {
    position: vec3<f32>,
    mass: f32,
    velocity: vec3<f32>,
}

struct Particles {
    count: u32,
    items: array<Particle>,
}

struct Forces {
    gravity: vec3<f32>,
    drag: f32,
}

struct Step {
    dt: f32,
    forces: Forces,
    seed: vec2<u32>,
}

@group(0) @binding(4) var<storage, read_write> particles: Particles;
@group(0) @binding(1) var<storage, read> fields: array<vec3<f32>>;
@group(2) @binding(0) var<storage, read_write> flags: array<u32, 6>;
var<immediate> step: Step;

fn mark(i: u32) {
    flags[i % 6u] = step.seed.x;
}

@compute @workgroup_size(8, 4, 2)
fn advance(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= particles.count {
        return;
    }
    let force = step.forces.gravity + fields[i] - particles.items[i].velocity * step.forces.drag;
    particles.items[i].velocity += force * step.dt / particles.items[i].mass;
    particles.items[i].position += particles.items[i].velocity * step.dt;
    mark(i);
}
