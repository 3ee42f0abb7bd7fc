import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.output.FinishReason;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import panamoe.langchain4j.PanamoeChatModel;
import panamoe.langchain4j.PanamoeStreamingChatModel;
import panamoe.text.TextService;

/** Asks a model in this process by LangChain4j: a line for each step, exit code 1 if one fails. */
public final class Main {
  public static void main(String[] arguments) {
    try (TextService service = TextService.open(Path.of(arguments[0]))) {
      PanamoeChatModel model = PanamoeChatModel.of(service);
      PanamoeStreamingChatModel streaming = PanamoeStreamingChatModel.of(service);
      ChatResponse answer = model.chat(question(40));
      String text = answer.aiMessage().text();
      int tokens = answer.tokenUsage().outputTokenCount();
      check(tokens > 0 && tokens <= 40 && answer.tokenUsage().inputTokenCount() > 0);
      check((answer.finishReason() == FinishReason.LENGTH) == (tokens == 40));
      said("chat", text);

      Collected stream = new Collected(Integer.MAX_VALUE); // a StreamingChatResponseHandler
      streaming.chat(question(40), stream);
      ChatResponse streamed = stream.whole.join();
      check(streamed.aiMessage().text().equals(text) && stream.pieces.toString().equals(text));
      said("stream", streamed.tokenUsage().outputTokenCount() + " tokens");

      String stop = text.substring(5, 7);
      ChatResponse stopped = model.chat(question(40, stop));
      check(stopped.aiMessage().text().equals(text.substring(0, text.indexOf(stop))));
      check(stopped.finishReason() == FinishReason.STOP);
      said("stop", stopped.aiMessage().text() + " before " + stop);

      Collected left = new Collected(3);
      streaming.chat(question(10_000), left);
      left.cancelled.join();
      check(model.chat(question(40)).aiMessage().text().equals(text));
      check(!left.whole.isDone());
      said("cancel", "the next answer is the same");

      try {
        model.chat(question(-1));
        throw new AssertionError("a wrong request was answered");
      } catch (InvalidRequestException e) {
        said("error", e.getMessage());
      }
    }
  }

  private static ChatRequest question(int tokens, String... stops) {
    return ChatRequest.builder()
        .messages(
            SystemMessage.from("Answer like a secretary."),
            UserMessage.from("Whom does the committee thank?"))
        .temperature(0.0)
        .maxOutputTokens(tokens)
        .stopSequences(List.of(stops))
        .build();
  }

  /** A stream's pieces. It is cancelled after a number of them. */
  private static final class Collected implements StreamingChatResponseHandler {
    final StringBuilder pieces = new StringBuilder();
    final CompletableFuture<ChatResponse> whole = new CompletableFuture<>();
    final CompletableFuture<Void> cancelled = new CompletableFuture<>();
    private int left;

    Collected(int most) {
      left = most;
    }

    @Override
    public void onPartialResponse(PartialResponse piece, PartialResponseContext context) {
      pieces.append(piece.text());
      if (--left == 0) {
        context.streamingHandle().cancel();
        cancelled.complete(null);
      }
    }

    @Override
    public void onCompleteResponse(ChatResponse response) {
      whole.complete(response);
    }

    @Override
    public void onError(Throwable error) {
      whole.completeExceptionally(error);
    }
  }

  private static void check(boolean isSo) {
    if (!isSo) {
      throw new AssertionError("the answer is another one");
    }
  }

  private static void said(String step, String what) {
    System.out.println(step + ": " + what.replace("\n", "\\n"));
  }
}
