package panamoe.text;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.stream.Stream;

/** The examples of {@link TextService}'s documentation; a test runs them. */
final class TextServiceExample {
  private TextServiceExample() {}

  static List<String> run(Path folder) {
    // @start region="service"
    GenerationOptions options = GenerationOptions.of(40);
    try (TextService service = TextService.open(folder)) {
      List<CompletableFuture<GenerationResult>> results =
          Stream.of("Mr President", "The committee", "I should like")
              .map(prompt -> service.submit(TextRequest.of(prompt, options)).result())
              .toList(); // generated together
      return results.stream().map(result -> result.join().text()).toList();
    }
    // @end
  }

  // @start region="subscriber"
  /** Prints a reply while it is generated, and leaves after a number of pieces. */
  static final class Printer implements Flow.Subscriber<TextPiece> {
    private Flow.Subscription subscription;
    private int left = 50;

    @Override
    public void onSubscribe(Flow.Subscription given) {
      subscription = given;
      subscription.request(1);
    }

    @Override
    public void onNext(TextPiece piece) {
      System.out.print(piece.content());
      if (--left > 0) {
        subscription.request(1);
      } else {
        subscription.cancel(); // frees its place at once
      }
    }

    @Override
    public void onError(Throwable failure) {
      System.err.println(failure.getMessage());
    }

    @Override
    public void onComplete() {
      System.out.println();
    }
  }

  // @end

  static GenerationResult stream(TextService service) {
    // @start region="stream"
    TextRequest request =
        TextRequest.of(List.of(ChatMessage.user("Whom do you thank?")), ChatOptions.of(60))
            .withPriority(1)
            .withDeadline(Duration.ofSeconds(20));
    TextCompletion completion = service.submit(request);
    completion.pieces().subscribe(new Printer());
    return completion.result().join();
    // @end
  }

  static String pull(TextService service) {
    // @start region="pull"
    StringBuilder text = new StringBuilder();
    TextCompletion completion =
        service.submit(TextRequest.of("Die Würde", GenerationOptions.of(100)));
    for (var next = completion.next(); next.isPresent(); next = completion.next()) {
      text.append(next.get().content());
      if (text.length() > 20) {
        completion.cancel(); // any thread may
      }
    }
    return text.toString();
    // @end
  }

  static List<ChatMessage> talk(TextService service) {
    // @start region="session"
    List<ChatMessage> instructions = List.of(ChatMessage.system("Answer like a secretary."));
    ChatSession session = service.chat(instructions, ChatOptions.of(60));
    String thanks = session.reply("Whom does the committee thank?").join().text();
    GenerationResult next = session.reply("And what for?").join();
    System.out.println(thanks + next.text() + next.usage().cached() + " tokens were known");
    return session.messages(); // all five
    // @end
  }
}
