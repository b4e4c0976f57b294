# The same work on the BEAM: prints the median seconds of one operation.
defmodule Counter do
  use GenServer
  def init(n), do: {:ok, n}
  def handle_call(:get, _from, n), do: {:reply, n, n}
  def handle_cast(:add, n), do: {:noreply, n + 1}
end

[row, rounds] = System.argv()

work = fn
  "call", n ->
    {:ok, pid} = GenServer.start_link(Counter, 0)
    Enum.each(1..n, fn _ -> GenServer.call(pid, :get) end)

  "cast", n ->
    {:ok, pid} = GenServer.start_link(Counter, 0)
    Enum.each(1..n, fn _ -> GenServer.cast(pid, :add) end)
    ^n = GenServer.call(pid, :get, 60_000)

  "start_stop", n ->
    Enum.each(1..n, fn _ ->
      {:ok, pid} = GenServer.start_link(Counter, 0)
      GenServer.stop(pid)
    end)
end

n = 100_000

times =
  for _ <- 1..String.to_integer(rounds) do
    {micros, _} = :timer.tc(fn -> work.(row, n) end)
    micros / n / 1_000_000
  end

IO.puts(Enum.at(Enum.sort(times), div(length(times), 2)))
