package panamoe.train;

/**
 * An entry of a run's {@code history.json}: a process that trained it.
 *
 * @param date of its start, ISO 8601 in UTC, to the second
 * @param command quoted for a shell
 * @param version of Panamoe, with its commit
 * @param machine processor and threads of rank 0's machine
 * @param device the backend's name
 * @param ranks number of ranks
 * @param text that it trained on, with authors and licence if known
 */
public record TrainingProcess(
    String date,
    String command,
    String version,
    String machine,
    String device,
    int ranks,
    String text) {}
