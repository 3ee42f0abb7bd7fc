package panamoe.train;

/**
 * A process that trained a run, an entry of its {@code history.json}.
 *
 * @param date of its beginning, ISO 8601 in UTC, to the second
 * @param command as a shell takes it
 * @param version of Panamoe, with its commit
 * @param machine processor and threads of rank 0's machine
 * @param device the backend's name
 * @param ranks in all
 * @param text that it trained on, with its authors and terms where they are known
 */
public record TrainingProcess(
    String date,
    String command,
    String version,
    String machine,
    String device,
    int ranks,
    String text) {}
