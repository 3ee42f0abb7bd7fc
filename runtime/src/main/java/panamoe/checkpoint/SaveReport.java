package panamoe.checkpoint;

import java.nio.file.Path;
import java.util.List;

/**
 * What saving did.
 *
 * @param directory of the checkpoint, {@code step-<step>}; with a number after it where that name
 *     was taken
 * @param warnings sentences about what could not be deleted: old checkpoints, files that a killed
 *     process left behind
 */
public record SaveReport(Path directory, List<String> warnings) {}
