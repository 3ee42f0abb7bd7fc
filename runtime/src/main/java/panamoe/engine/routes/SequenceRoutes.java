package panamoe.engine.routes;

import java.util.List;

/**
 * The routes of a sequence's rows.
 *
 * @param tokens [R], its first ones, whose rows were computed
 * @param rows [R], each in the {@link RouteLayout} of the model's own top-k; not to be changed
 */
public record SequenceRoutes(int[] tokens, List<float[]> rows) {}
