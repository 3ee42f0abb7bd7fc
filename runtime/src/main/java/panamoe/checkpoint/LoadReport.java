package panamoe.checkpoint;

import java.util.List;

/**
 * What loading did.
 *
 * @param tensors how many were read
 * @param bytes of their elements
 * @param warnings sentences about what was tolerated: values that are not finite, tensors nobody
 *     asked for
 */
public record LoadReport(int tensors, long bytes, List<String> warnings) {}
