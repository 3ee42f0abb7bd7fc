package panamoe.checkpoint;

import java.nio.file.Path;
import java.util.List;

/**
 * The result of a save.
 *
 * @param directory of the checkpoint, {@code step-<step>}, with a number appended if that name was
 *     taken
 * @param warnings sentences about files that could not be deleted: old checkpoints, remains of a
 *     killed process
 */
public record SaveReport(Path directory, List<String> warnings) {}
