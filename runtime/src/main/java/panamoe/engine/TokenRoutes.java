package panamoe.engine;

/**
 * The experts that a token went to.
 *
 * @param experts of each MoE layer in order, its top-k, best first
 * @param weights of these
 */
public record TokenRoutes(int[][] experts, float[][] weights) {}
