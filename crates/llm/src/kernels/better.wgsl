// For the argmax: pairs of a logit's bits and its row.

// Less than every number, and the row that no logit has.
const NONE = vec2<u32>(0xff800000u, 0xffffffffu);

// The larger of two, the first of equals. What is not a number is never better.
fn better(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let x = bitcast<f32>(a.x);
    let y = bitcast<f32>(b.x);
    return select(a, b, y > x || (y == x && b.y < a.y));
}
